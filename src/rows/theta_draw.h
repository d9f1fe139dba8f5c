/* Draws of the global parameters from q(theta), and of data from the fitted model: functions of the seed and of the
 * number of the draw alone. Not collective. */
#ifndef AVI_ROWS_THETA_DRAW_H
#define AVI_ROWS_THETA_DRAW_H

#include "session/session.h"

/* Draw t of theta, from the parameters of the fit, into the first values of `drawn`. Errors: INTERNAL (memory). */
avi_status avi_theta_draw(const avi_session *s, const void *params, int t, void *drawn);

/* The blocks of theta in double, as avi_model_ops.draw takes them. */
typedef struct avi_theta_values {
    double *values;       /* owned: (layout.theta) */
    const double **block; /* owned: where each block begins */
} avi_theta_values;
/* Owner: caller, avi_theta_values_free, also when it fails. Errors: INTERNAL (memory). */
avi_status avi_theta_values_create(const avi_session *s, avi_theta_values *v);
void avi_theta_values_take(const avi_session *s, const void *params, avi_theta_values *v);
void avi_theta_values_free(avi_theta_values *v);

/* Standard normals for draw `draw` of a row's data: (D). */
void avi_theta_noise(const avi_session *s, uint64_t row, int64_t draw, double *noise);

#endif
