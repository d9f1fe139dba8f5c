#include "session/keys.h"

#include <stddef.h>

static const avi_key keys[] = {
    {"run", "seed", AVI_KEY_INT, "1", 0, 9e18, NULL, NULL,
     "of everything random: shuffle, initial values, draws, synthetic data"},
    {"run", "output", AVI_KEY_STRING, "runs/avi", 0, 0, NULL, NULL,
     "folder for everything that is written, created; relative to where the command runs"},
    {"run", "precision", AVI_KEY_CHOICE, "single", 0, 0, "single | double", NULL,
     "of parameters and arithmetic; sums of losses are always double"},
    {"run", "reproducible", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "yes: reproducible sums, the same bits on any number of ranks (costs a little)"},
    {"run", "reduction", AVI_KEY_CHOICE, "auto", 0, 0, "auto | shared | messages", NULL,
     "how the gradients of all ranks are added up: in shared memory, which needs one node and room in /dev/shm for the "
     "gradients of its ranks, or by MPI_Allreduce; auto: shared where it can be"},
    {"run", "time_limit", AVI_KEY_STRING, "0", 0, 0, NULL, "minutes",
     "stop with a checkpoint before it (exit status 75): minutes, 0 = none, auto = the end of the Slurm job"},
    {"objective", "draws", AVI_KEY_INT, "1", 0, 65536, NULL, "draws",
     "Monte Carlo draws of z (and theta) per step and datapoint; 0 = exact expectations: closed form or quadrature"},
    {"objective", "estimator", AVI_KEY_CHOICE, "pathwise", 0, 0, "pathwise | stl | dreg", NULL,
     "of the gradient; stl: sticking the landing, no score term; dreg: doubly reparameterized, for iwae"},
    {"objective", "kl", AVI_KEY_CHOICE, "analytic", 0, 0, "analytic | sampled", NULL,
     "KL of q(z_n): closed form where there is one, or by the draws"},
    {"objective", "entropy", AVI_KEY_CHOICE, "exact", 0, 0, "exact | notebook", NULL,
     "notebook: steps take a standard deviation for the variance in log q(z) and log q(theta), as the published VAE "
     "notebook of Margossian & Blei does; /trace then has that objective, /eval the ELBO"},
    {"objective", "points", AVI_KEY_INT, "32", 2, 256, NULL, "points",
     "Gauss-Hermite points per dimension where draws = 0 needs quadrature; points that weigh less than 1e-25 are left "
     "out"},
    {"stop", "mse", AVI_KEY_REAL, "0", 0, 1e300, NULL, "data units squared",
     "end when an evaluation's mean squared reconstruction error of a value plus its standard error is below it, on "
     "all "
     "training rows; 0 = none"},
    {"stop", "elbo_per_row", AVI_KEY_REAL, "1e300", -1e300, 1e300, NULL, "nats",
     "end when an evaluation's ELBO less its standard error is at least this, on all training rows; 1e300 = none"},
    {"stop", "patience", AVI_KEY_INT, "0", 0, 1e9, NULL, "evaluations",
     "end when so many evaluations in a row had no larger elbo_test than the best one before them; the parameters of "
     "the best one are kept and are the results of the run, however it ends, unless stop.mse or stop.elbo_per_row is "
     "met; 0 = none"},
    {"stop", "required", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "yes: a run that ends before stop.mse or stop.elbo_per_row was met has exit status 3"},
    {"log", "every", AVI_KEY_INT, "10", 1, 1e12, NULL, "steps", "between lines of the trace"},
    {"log", "eval_every", AVI_KEY_INT, "0", -1, 1e12, NULL, "steps",
     "between evaluations on train and test data; -1 = only at the end; 0 = once an epoch, but no more of them than "
     "take "
     "5 % of the work of the steps (3 at least, 100 at most; with [stop] up to 100)"},
    {"log", "eval_draws", AVI_KEY_STRING, "auto", 0, 0, NULL, "draws",
     "draws of z per row of an evaluation: a number, at least 2; auto = none where the expectations are in closed form "
     "or "
     "by quadrature of few points, else 2 during the fit, and at its end more where the rows are few"},
    {"log", "eval_rows", AVI_KEY_INT, "2000", 0, 1e15, NULL, "rows",
     "rows of each data set used by evaluations during the fit; 0 = all"},
    {"log", "last_rows", AVI_KEY_INT, "0", 0, 1e15, NULL, "rows",
     "rows of each data set used by the evaluation at the end of the fit; 0 = all"},
    {"log", "second_start", AVI_KEY_BOOL, "yes", 0, 0, NULL, NULL,
     "yes: the end of a fit says how much a second start of the factors of some rows gained, where the expectations "
     "take "
     "no draws and a posterior may have several modes (not of groups, data.group); at most 5 % of the work of the "
     "steps"},
    {"log", "test_factors", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "whether the last evaluation of a factorized run fits factors of the test rows, with the model's parameters "
     "fixed, in at most rows.passes passes; auto: where that takes no more than half of the work of the steps. "
     "stop.patience needs them at every evaluation"},
    {"log", "mse_at", AVI_KEY_CHOICE, "draws", 0, 0, "draws | means", NULL,
     "draws: the mean squared error is E_q of the squared distance of x and E[x | z, theta], z and theta from q, the "
     "same "
     "for any objective.draws; means: that distance at the means of q"},
    {"log", "progress", AVI_KEY_CHOICE, "auto", 0, 0, "auto | bar | lines | none", NULL,
     "auto: a bar on a terminal, plain lines elsewhere: one after 5 seconds, then each after a twentieth of the time "
     "so "
     "far, but after 10 minutes at most"},
    {"log", "profile", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL, "yes: seconds a step by part of the program, in /trace"},
    {"log", "gradient_variance", AVI_KEY_INT, "0", 0, 1e6, NULL, "pairs",
     "pairs of gradients at each evaluation during the fit and at its end, of random minibatches with draws of their "
     "own, for the variance of a step's gradient with its error; it costs two steps for each pair. 0: none"},
    {"log", "images", AVI_KEY_INT, "10", 0, 10000, NULL, "images",
     "reconstructions and samples kept in the result, for models of images"},
    {"checkpoint", "every", AVI_KEY_INT, "0", 0, 1e15, NULL, "steps", "between checkpoints; 0 = by time alone"},
    {"checkpoint", "minutes", AVI_KEY_REAL, "10", 0, 1e9, NULL, "minutes", "between checkpoints; 0 = by steps alone"},
    {"checkpoint", "keep", AVI_KEY_INT, "2", 1, 1000, NULL, "files", "checkpoints to keep"},
    {"checkpoint", "resume", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "auto: resume from the newest checkpoint of the output folder when it is of this configuration, and leave a run "
     "that "
     "is done as it is; yes: there must be one, and keys that concern only the steps to come may differ; no: start "
     "afresh, in run.output/fresh while there are results, which stay until the new ones are complete"},
    {"checkpoint", "from", AVI_KEY_PATH, "", 0, 0, NULL, NULL,
     "the checkpoint that a task begins from, or the dump.h5 of a run that diverged, whatever the output folder holds; "
     "empty = the newest of the folder"},
    {"output", "local", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "local factors in the result: auto = for factorized; yes = for amortized runs too"},
    {"nan", "policy", AVI_KEY_CHOICE, "skip", 0, 0, "skip | rollback | stop", NULL,
     "when an ELBO or gradient is not finite: skip the step; go back to the last good state with a lower learning "
     "rate; stop"},
    {"nan", "max_skips", AVI_KEY_INT, "20", 1, 1e9, NULL, "steps",
     "consecutive steps without a finite gradient before the run stops (skip) or goes back (rollback)"},
    {"nan", "lr_cut", AVI_KEY_REAL, "0.5", 1e-6, 1, NULL, NULL, "factor on the learning rate at each rollback"},
};

avi_status avi_session_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, keys, (int)(sizeof keys / sizeof keys[0]));
}

const char *const avi_keys_resume_may_change[] = {
    "run.output",     "run.time_limit", "run.task",    "run.after",    "run.exact_degree",
    "run.reduction",  "optim.epochs",   "optim.steps", "stop.*",       "log.*",
    "checkpoint.*",   "output.*",       "nan.*",       "data.storage", "data.path",
    "data.test_path", "run.from",       "run.plugins", "rows.*",       "sample.*",
    "gap.*",          "diagnose.*",     NULL};

const char *const avi_keys_of_the_future[] = {"optim.learning_rate",
                                              "optim.schedule",
                                              "optim.schedule_every",
                                              "optim.schedule_factor",
                                              "optim.warmup",
                                              "optim.clip_norm",
                                              "optim.beta1",
                                              "optim.beta2",
                                              "optim.epsilon",
                                              "optim.weight_decay",
                                              "optim.momentum",
                                              "optim.nesterov",
                                              "optim.tolerance",
                                              "optim.newton",
                                              "optim.local_rows",
                                              "optim.local_learning_rate",
                                              "optim.local_steps",
                                              "objective.*",
                                              NULL};
const char *const avi_keys_of_batches[] = {"optim.batch", "optim.tile", NULL};
