#include "density/learned_noise.h"
#include "density/masked.h"

#include <math.h>

/* log N(x; mean, s^2) = -pi |x - mean|^2 / (2 pi s^2) - D log s - (D/2) log 2 pi. The density of standard deviation 1 /
 * sqrt(2 pi) is the first -pi |x - mean|^2, and s enters by row, not by value. */
avi_node *avi_learned_noise_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *mean, avi_node *log_sd)
{
    const double two_pi = 2 * acos(-1), width = (double)x->cols, sd = 1 / sqrt(two_pi);
    avi_node *squares = mask ? avi_masked_normal_lpdf_sd(t, x, mask, mean, sd) : avi_normal_lpdf_sd(t, x, mean, sd);
    avi_node *precision = avi_map(t, avi_scale(t, log_sd, -2, -log(two_pi)), AVI_EXP);
    if (mask) { /* D is the number of values that are there */
        avi_node *of_one = avi_scale(t, log_sd, -1, -0.5 * log(two_pi)),
                 *count = avi_masked_count(t, mask, mean->rows / x->rows);
        return avi_add(t, avi_mul(t, squares, precision), avi_mul(t, count, of_one));
    }
    return avi_add(t, avi_mul(t, squares, precision), avi_scale(t, log_sd, -width, -0.5 * width * log(two_pi)));
}
