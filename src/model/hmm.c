#include "model/hmm.h"
#include "config/matrix_text.h"

#include <stdlib.h>

avi_status avi_hmm_read(const avi_config *config, int64_t latent, int64_t width, avi_hmm *h)
{
    *h = (avi_hmm){.latent = latent, .width = width, .initial_sd = avi_config_get_real(config, "model", "initial_sd")};
    AVI_TRY(avi_matrix_read_sized(config, "A", latent, latent, &h->a));
    AVI_TRY(avi_matrix_read_sized(config, "C", width, latent, &h->c));
    AVI_TRY(avi_variances_read(config, "Q", latent, &h->log_sd_q));
    return avi_variances_read(config, "R", width, &h->log_sd_r);
}

void avi_hmm_free(avi_hmm *h)
{
    free(h->a);
    free(h->c);
    free(h->log_sd_q);
    free(h->log_sd_r);
    *h = (avi_hmm){0};
}
