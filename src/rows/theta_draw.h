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
    double *noise;        /* owned: normals of the data of some rows */
} avi_theta_values;
/* Owner: caller, avi_theta_values_free, also when it fails. Errors: INTERNAL (memory). */
avi_status avi_theta_values_create(const avi_session *s, avi_theta_values *v);
void avi_theta_values_take(const avi_session *s, const void *params, avi_theta_values *v);
void avi_theta_values_free(avi_theta_values *v);

/* Rows whose data are to be drawn. */
typedef struct avi_data_draws {
    const int64_t *row; /* (rows): their numbers in the data */
    int64_t rows;
    const double *z; /* (L) of row i from i * z_stride on */
    double *x;       /* (D) of row i from i * x_stride on: E[x_n | z_n, theta], becomes a draw of x_n */
    int64_t z_stride, x_stride;
} avi_data_draws;
/* Draw number `draw` of the data of rows, in the units of the model. A value depends on its row and the number of the
 * draw, not on the rows beside it; many rows at once are made faster. */
void avi_theta_draw_data(const avi_session *s, const avi_theta_values *theta, const avi_data_draws *to, int64_t draw);

#endif
