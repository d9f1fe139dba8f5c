/* Row values in double of a tape in single precision: kernels (k_precise.c, the form for double), and what custom
 * operations need for theirs. */
#ifndef AVI_TAPE_PRECISE_H
#define AVI_TAPE_PRECISE_H

#include "avi/tape.h"

/* Values of any node in double, (rows, cols) on the tape: worked out anew where its operation can, else converted. */
double *avi_tape_precise_values(avi_tape *t, avi_node *n);
/* The sd (rows of nu, dims) of independent Gaussian factors: exp(log_sd) in double; or the float that their draws took,
 * where a network has such draws: the row value is then that of the factor with this sd (*rounded), so that its log q
 * and its draws are of one factor. */
double *avi_tape_precise_sd(avi_tape *t, avi_node *nu, bool *rounded);
double *avi_tape_doubles(avi_tape *t, int64_t values);

void avi_precise_sd_f64(int64_t rows, int64_t dims, const float *nu, double *sd);
void avi_precise_log_sd_f64(int64_t rows, int64_t dims, const float *nu, const double *sd, bool rounded, double *out);
void avi_precise_draw_f64(int64_t rows, int64_t draws, int64_t dims, const float *nu, const double *sd,
                          const double *eps, double *z);
void avi_precise_entropy_f64(int64_t rows, int64_t dims, const double *log_sd, double *out);
void avi_precise_kl_std_f64(int64_t rows, int64_t dims, const float *nu, const double *sd, const double *log_sd,
                            double *out);
void avi_precise_logq_f64(int64_t rows, int64_t draws, int64_t dims, const float *nu, const double *sd,
                          const double *log_sd, const double *z, double *out);
void avi_precise_std_normal_f64(int64_t rows, int64_t cols, const double *z, double *out);
void avi_precise_normal_sd_f64(int64_t rows, int64_t cols, const float *x, const float *m, double sd, double *out);
void avi_precise_normal_f64(int64_t rows, int64_t cols, const float *x, const float *m, const float *log_sd,
                            double *term, double *out);
void avi_precise_scalar_f64(int64_t rows, int64_t draws, const double *y, const double *u, const double *shift,
                            double a, double sd, double *out);
void avi_precise_scalar_draws_f64(int64_t rows, int64_t draws, const float *y, const float *nu, const double *sd_q,
                                  const double *eps, const float *drawn, const double *shift, const double *weight,
                                  double a, double sd, double *out);
void avi_precise_draw_mean_f64(int64_t rows, int64_t draws, const double *a, const double *weight, double *out);

#endif
