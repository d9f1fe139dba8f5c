/* q(z_n) with heavier tails than a Gaussian: z = mean + scale t in each dimension, t of Student's distribution with
 * `degrees` degrees of freedom. nu = (mean (L), log_scale (L)). Its entropy is taken by the draws: with one in closed
 * form it would be taken for a Gaussian, whose draws are affine in eps (family.h).
 *
 * t is a function of a standard normal draw e, t = F^-1(Phi(e)) with F the distribution function of t. Where both have
 * the same probability below them, dt / de = phi(e) / f(t): the table of t(e) is this equation's solution (Runge-Kutta
 * of fourth order), between whose points a cubic with these slopes goes. */
#include "avi/family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const avi_key keys[] = {
    {"inference", "degrees", AVI_KEY_REAL, "5", 2.1, 1e6, NULL, "degrees of freedom",
     "of Student's distribution: the fewer, the heavier the tails"},
};

/* Normal draws do not go beyond 9; points of a quadrature may, and go on along the last slope. */
enum { LAST = 10, PER_UNIT = 64, SUBSTEPS = 32, POINTS = LAST * PER_UNIT + 1 };

typedef struct student {
    double degrees, log_constant;        /* log of the density's constant */
    double value[POINTS], slope[POINTS]; /* t and dt / de at e = 0, 1 / PER_UNIT, .. */
} student;

static double log_density(const student *s, double t)
{
    return s->log_constant - 0.5 * (s->degrees + 1) * log1p(t * t / s->degrees);
}

/* dt / de. */
static double slope_at(const student *s, double e, double t)
{
    return exp(-0.5 * e * e - 0.5 * log(2 * acos(-1.0)) - log_density(s, t));
}

/* The probability above t: Simpson's rule in log s, over forty times the length on which the integrand falls by e. */
static double tail(const student *s, double t)
{
    enum { INTERVALS = 400 };
    const double n = s->degrees, fall = (n + 1) * t * t / (n + t * t) - 1, h = 40 / fall / INTERVALS;
    double sum = 0;
    for (int i = 0; i <= INTERVALS; i++) {
        const double u = t * exp(h * i), weight = i == 0 || i == INTERVALS ? 1 : i % 2 ? 4 : 2;
        sum += weight * exp(log_density(s, u)) * u;
    }
    return sum * h / 3;
}

/* t(LAST), by bisection of its logarithm. */
static double last_value(const student *s)
{
    const double wanted = 0.5 * erfc(LAST / sqrt(2.0));
    double low = log(LAST), high = log(1e15); /* t is never below e, and 2.1 degrees have t(LAST) = 1e11 */
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (low + high);
        if (tail(s, exp(middle)) > wanted)
            low = middle;
        else
            high = middle;
    }
    return exp(0.5 * (low + high));
}

/* From the outside in: an error of t changes the probability above it by little, and is forgotten; from the inside out
 * rounding at 0 would be all that is left of probabilities of 1e-16. */
static void tabulate(student *s)
{
    const double h = -1.0 / PER_UNIT / SUBSTEPS;
    double t = last_value(s);
    for (int i = POINTS - 1; i >= 0; i--) {
        s->value[i] = i ? t : 0;
        s->slope[i] = slope_at(s, (double)i / PER_UNIT, s->value[i]);
        for (int k = 0; k < SUBSTEPS; k++) {
            const double e = (double)i / PER_UNIT + h * k, a = slope_at(s, e, t),
                         b = slope_at(s, e + h / 2, t + h / 2 * a), c = slope_at(s, e + h / 2, t + h / 2 * b),
                         d = slope_at(s, e + h, t + h * c);
            t += h / 6 * (a + 2 * b + 2 * c + d);
        }
    }
}

static double student_of(const student *s, double e)
{
    const double u = fabs(e) * PER_UNIT;
    double t;
    if (u >= POINTS - 1) {
        t = s->value[POINTS - 1] + (u - (POINTS - 1)) / PER_UNIT * s->slope[POINTS - 1];
    } else {
        const int i = (int)u;
        const double x = u - i, y = 1 - x;
        t = s->value[i] * (1 + 2 * x) * y * y + s->value[i + 1] * x * x * (1 + 2 * y) +
            x * y * (s->slope[i] * y - s->slope[i + 1] * x) / PER_UNIT;
    }
    return e < 0 ? -t : t;
}

static avi_status create(avi_family *f, const avi_config *config)
{
    student *s = f->self = malloc(sizeof *s);
    if (!s) return avi_fail_memory(sizeof *s, "the family");
    const double n = s->degrees = avi_config_get_real(config, "inference", "degrees");
    s->log_constant = lgamma(0.5 * (n + 1)) - lgamma(0.5 * n) - 0.5 * log(n * acos(-1.0));
    tabulate(s);
    f->width = 2 * f->latent;
    return AVI_OK;
}

static avi_node *log_q(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *z)
{
    const student *s = f->self;
    const int64_t l = f->latent;
    avi_node *row = avi_repeat(t, nu, z->rows / nu->rows), *log_scale = avi_slice(t, row, l, l);
    avi_node *u =
        avi_mul(t, avi_sub(t, z, avi_slice(t, row, 0, l)), avi_map(t, avi_scale(t, log_scale, -1, 0), AVI_EXP));
    avi_node *tail = avi_map(t, avi_scale(t, avi_map(t, u, AVI_SQUARE), 1 / s->degrees, 1), AVI_LOG);
    avi_node *each = avi_sub(t, avi_scale(t, tail, -0.5 * (s->degrees + 1), s->log_constant), log_scale);
    return avi_row_sum(t, each);
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **logq)
{
    (void)own;
    const avi_precision precision = avi_tape_precision(t);
    avi_node *heavy = avi_constant_new(t, eps->rows, eps->cols);
    for (int64_t i = 0; i < eps->rows * eps->cols; i++)
        avi_vector_set(precision, heavy->value, i, student_of(f->self, avi_vector_get(precision, eps->value, i)));
    avi_node *z = avi_gaussian_draw(t, nu, heavy);
    if (logq) *logq = log_q(f, t, nu, z);
    return z;
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    const double n = ((const student *)f->self)->degrees;
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    for (int64_t i = 0; i < f->latent; i++) log_sd[i] = nu[f->latent + i] + 0.5 * log(n / (n - 2));
}

const avi_family_ops avi_family_student_t = {
    .name = "student_t",
    .doc = "Student's distribution in independent dimensions: heavier tails than a Gaussian (degrees)",
    .keys = keys,
    .key_count = 1,
    .create = create,
    .draw = draw,
    .log_q = log_q,
    .moments = moments,
};
