/* Small dense parts of closed forms. */
#include "closed_form/optimum.h"
#include "avi/linalg.h"

#include <math.h>

avi_status avi_optimum_block(int64_t l, const double *block, double *log_det, double *inverse)
{
    avi_linalg_blocks *blocks = NULL;
    if (l == 1 && block[0] > 0) {
        *log_det = log(block[0]);
        if (inverse) inverse[0] = 1 / block[0];
        return AVI_OK;
    }
    AVI_TRY(avi_linalg_blocks_create(1, l, block, NULL, &blocks));
    *log_det = avi_linalg_blocks_log_det(blocks);
    avi_status status = inverse ? avi_linalg_blocks_inverse(blocks, inverse, NULL) : AVI_OK;
    avi_linalg_blocks_destroy(&blocks);
    return status;
}

double avi_optimum_excess(double a) { return 0.5 * (a - 1 - log(a)); }
