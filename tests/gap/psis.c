/* Reads K, then K log weights, from standard input; prints khat, ess, log_p and log_p_error of each set. */
#include "gap/psis.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    long draws;
    while (scanf("%ld", &draws) == 1) {
        double *w = malloc((size_t)draws * sizeof *w);
        avi_weights out;
        for (long i = 0; w && i < draws; i++)
            if (scanf("%lf", &w[i]) != 1) return 1;
        if (!w) return 1;
        avi_weights_summarise(draws, w, &out);
        printf("%.17g %.17g %.17g %.17g\n", out.khat, out.ess, out.log_p, out.log_p_error);
        free(w);
    }
    return 0;
}
