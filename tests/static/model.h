/* Included before every file that an analyser reads: what it must know of functions whose bodies it does not see.
 *
 * avi_agree passes a failure of this rank on; when this rank has none, another may have one. What fails returns the
 * status it is given. So after AVI_TRY(avi_agree(comm, p ? AVI_OK : avi_fail_memory(...))) p is not NULL. */
#ifndef AVI_TESTS_STATIC_MODEL_H
#define AVI_TESTS_STATIC_MODEL_H

#include "avi/comm.h"
#include "avi/config.h"

#include <stdlib.h>

avi_status avi_model_of_another_rank(avi_comm *comm);

static inline avi_status avi_model_agree(avi_comm *comm, avi_status status)
{
    return status != AVI_OK ? status : avi_model_of_another_rank(comm);
}

#ifndef AVI_MODEL_DEFINES_AGREE
#define avi_agree(comm, status) avi_model_agree(comm, status)

static inline avi_status avi_model_agree_memory(avi_comm *comm, void *memory)
{
    const avi_status status = avi_model_agree(comm, memory ? AVI_OK : AVI_ERR_INTERNAL);
    if (status != AVI_OK) free(memory);
    return status;
}
#define avi_agree_memory(comm, memory, bytes, purpose) avi_model_agree_memory(comm, memory)
#endif
#ifndef AVI_MODEL_DEFINES_FAIL
#define avi_fail(status, ...)           (avi_fail(status, __VA_ARGS__), (status))
#define avi_fail_memory(bytes, purpose) (avi_fail_memory(bytes, purpose), AVI_ERR_INTERNAL)
#define avi_config_fail(...)            (avi_config_fail(__VA_ARGS__), AVI_ERR_CONFIG)
#endif

#endif
