#include "cli/registry.h"
#include "avi/data.h"
#include "avi/family.h"
#include "avi/infer.h"
#include "avi/model.h"
#include "avi/objective.h"
#include "avi/optim.h"
#include "closed_form/optimum.h"
#include "run/plugins.h"
#include "session/keys.h"
#include "idata/idata.h"
#include "tasks/task.h"

#define AVI_SOURCE(name)    extern const avi_source_ops avi_source_##name;
#define AVI_MODEL(name)     extern const avi_model_ops avi_model_##name;
#define AVI_INFER(name)     extern const avi_infer_ops avi_infer_##name;
#define AVI_FAMILY(name)    extern const avi_family_ops avi_family_##name;
#define AVI_OBJECTIVE(name) extern const avi_objective_ops avi_objective_##name;
#define AVI_OPTIM(name)     extern const avi_optim_ops avi_optim_##name;
#define AVI_TASK(name)      extern const avi_task_ops avi_task_##name;
#define AVI_EXACT(name)     extern const avi_exact_ops avi_exact_##name;
#include "avi/registry.def"

static avi_status add_keys(avi_registry *r)
{
    AVI_TRY(avi_task_register_keys(r));
    AVI_TRY(avi_session_register_keys(r));
    AVI_TRY(avi_idata_register_keys(r));
    AVI_TRY(avi_plugins_register_keys(r));
    AVI_TRY(avi_data_register_keys(r));
    AVI_TRY(avi_model_register_keys(r));
    AVI_TRY(avi_infer_register_keys(r));
    AVI_TRY(avi_objective_register_keys(r));
    return avi_optim_register_keys(r);
}

static avi_status add_plugins(avi_registry *r)
{
#define AVI_SOURCE(name)    AVI_TRY(avi_source_register(r, &avi_source_##name));
#define AVI_MODEL(name)     AVI_TRY(avi_model_register(r, &avi_model_##name));
#define AVI_INFER(name)     AVI_TRY(avi_infer_register(r, &avi_infer_##name));
#define AVI_FAMILY(name)    AVI_TRY(avi_family_register(r, &avi_family_##name));
#define AVI_OBJECTIVE(name) AVI_TRY(avi_objective_register(r, &avi_objective_##name));
#define AVI_OPTIM(name)     AVI_TRY(avi_optim_register(r, &avi_optim_##name));
#define AVI_TASK(name)      AVI_TRY(avi_task_register(r, &avi_task_##name));
#define AVI_EXACT(name)     AVI_TRY(avi_closed_form_register(r, &avi_exact_##name));
#include "avi/registry.def"
    return AVI_OK;
}

avi_status avi_registry_builtin(avi_registry **registry)
{
    AVI_TRY(avi_registry_create(registry));
    avi_status status = add_keys(*registry);
    if (status == AVI_OK) status = add_plugins(*registry);
    if (status != AVI_OK) avi_registry_destroy(registry);
    return status;
}
