/* The target of a fit, [stop]: what an evaluation on training rows must reach for the run to end there. Evaluations
 * come out of one reduction, so every rank holds the same values and finds the same answer without asking the others.
 */
#ifndef AVI_TRAIN_STOPPING_RULE_H
#define AVI_TRAIN_STOPPING_RULE_H

#include "session/session.h"
#include "state/trace.h"

/* How the why_stopped of a run begins whose target was met, and that of one which ended without. */
#define AVI_STOPPING_RULE_MET    "stop rule met"
#define AVI_STOPPING_RULE_MISSED "stop rule not met"

enum { AVI_STOPPING_RULE_TEXT = 240 };

/* Not collective. Before the fit: a target that this model, or any, cannot reach. Errors: CONFIG. */
avi_status avi_stopping_rule_check(const avi_session *s);
/* Whether there is a target at all, and whether a run that ends without it is to fail (stop.required). Not collective.
 */
bool avi_stopping_rule_set(const avi_config *config);
bool avi_stopping_rule_required(const avi_config *config);
/* Whether one of the bounds is reached in this row of the eval table, by more than the standard error of the value;
 * false when there is none. Not collective. */
bool avi_stopping_rule_met(const avi_config *config, const double row[AVI_EVAL_COLUMNS]);
/* "stop rule met: mse_train 0.0299 is below 0.03", or "stop rule not met: ...", of a run that ended with this
 * evaluation. Not collective. */
void avi_stopping_rule_describe(const avi_config *config, const double row[AVI_EVAL_COLUMNS],
                                char text[AVI_STOPPING_RULE_TEXT]);
/* The same of a run that ended earlier, by its why_stopped. Not collective. */
bool avi_stopping_rule_missed(const char *why_stopped);

#endif
