#include "avi/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

avi_status avi_infer_register(avi_registry *registry, const avi_infer_ops *ops)
{
    if (!ops->create || (!ops->forward && !ops->refines))
        return avi_fail(AVI_ERR_INTERNAL, "inference function %s has no %s", ops->name ? ops->name : "without a name",
                        ops->create ? "forward" : "create");
    return avi_registry_add(registry, AVI_KIND_INFER, ops);
}

static const avi_key common_keys[] = {
    {"inference", "function", AVI_KEY_CHOICE, "mlp", 0, 0, AVI_CHOICES_INFER, NULL,
     "where a row's variational parameters come from (--list prints what each is)"},
    {"inference", "family", AVI_KEY_CHOICE, "gaussian", 0, 0, AVI_CHOICES_FAMILY, NULL,
     "q(z_n) (--list prints what each is)"},
    {"inference", "domain", AVI_KEY_STRING, "self", 0, 0, NULL, NULL,
     "the rows that the function sees: self | next (n, n+1) | ahead (n+1 alone) | window:w (n-w..n+w)"},
    {"inference", "theta", AVI_KEY_CHOICE, "no", 0, 0, "no | mean | draw", NULL,
     "what the function sees of the global parameters beside the data (mlp, polynomial): nothing, their means, or each "
     "draw of them, for a factor of z given theta. They get a gradient this way too"},
    {"inference", "standardise", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "the function sees (value - mean) / sd of each column, by mean and sd of training rows; auto: yes, except for "
     "images and values from 0 to 1"},
    {"inference", "starts", AVI_KEY_INT, "1", 1, 1000, NULL, "starts",
     "F-VI of independent rows: how often each row's own factor is fitted from another start; the best is kept. The "
     "starts come after the last step; after lbfgs, which then continues where a row has gained"},
};

avi_status avi_infer_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, common_keys, (int)(sizeof common_keys / sizeof common_keys[0]));
}

int64_t avi_domain_rows(const avi_domain *d) { return d->only_next ? 1 : d->before + 1 + d->after; }

avi_status avi_domain_read(const avi_config *config, avi_domain *d)
{
    const char *text = avi_config_get_string(config, "inference", "domain");
    char *end;
    *d = (avi_domain){0};
    if (!strcmp(text, "self")) return AVI_OK;
    if (!strcmp(text, "next") || !strcmp(text, "ahead")) {
        d->after = 1;
        d->only_next = !strcmp(text, "ahead");
        return AVI_OK;
    }
    if (!strncmp(text, "window:", 7)) {
        const long w = strtol(text + 7, &end, 10);
        if (end != text + 7 && !*end && w >= 0 && w <= 4096) {
            d->before = d->after = w;
            return AVI_OK;
        }
    }
    return avi_config_fail(config, "inference", "domain",
                           "unknown domain; use self, next, ahead or window:w with w from 0 to 4096");
}

avi_theta_view avi_theta_view_read(const avi_config *config)
{
    const char *text = avi_config_get_string(config, "inference", "theta");
    return !strcmp(text, "mean") ? AVI_THETA_MEAN : !strcmp(text, "draw") ? AVI_THETA_DRAW : AVI_THETA_UNSEEN;
}

avi_feature_shape avi_feature_shape_of(const avi_shape *data, const avi_domain *domain, bool masked)
{
    const int64_t rows = avi_domain_rows(domain), own = data->width + (data->ragged ? 1 : 0), values = rows * own;
    avi_feature_shape s = {.view = avi_view_of(data)};
    if (data->ragged) s.view.width = s.view.row_stride = own; /* graph/leaves.c: means, log(1 + entries) */
    if (data->ragged) s.entry = data->width;
    s.layout = s.view.height > 1 || s.view.channels > 1 ? AVI_LAYOUT_IMAGE : AVI_LAYOUT_VECTOR;
    if (rows > 1) {
        s.layout = AVI_LAYOUT_SEQUENCE;
        s.view = (avi_view){.channels = own,
                            .height = 1,
                            .width = rows,
                            .channel_stride = 1,
                            .row_stride = values,
                            .column_stride = own};
    }
    s.view.planes = masked ? 2 : 1;
    s.view.plane_stride = values;
    return s;
}

/* The function that the steps of `semi` begin from. */
static avi_status find_base(const avi_config *config, avi_infer *f)
{
    const char *base = avi_config_get_string(config, "inference", "base");
    f->ops = avi_registry_find(avi_config_registry(config), AVI_KIND_INFER, base);
    if (!f->ops->refines && !f->ops->local) return AVI_OK;
    return avi_config_fail(config, "inference", "base",
                           "%s is no function of the data that %s could begin from; use mlp, constant or another one",
                           base, f->named->name);
}

static avi_status allocate(const avi_config *config, const char *name, const avi_feature_shape *shape, int64_t outputs,
                           int64_t latent, avi_infer **infer)
{
    avi_infer *f = *infer = calloc(1, sizeof *f);
    if (!f) return avi_fail_memory(sizeof *f, "the inference function");
    f->named = f->ops = avi_registry_find(avi_config_registry(config), AVI_KIND_INFER, name);
    if (f->named->refines) AVI_TRY(find_base(config, f));
    f->shape = *shape;
    if (f->ops->entries && shape->entry) { /* the entries themselves */
        f->shape.layout = AVI_LAYOUT_SET;
        f->shape.view.width = f->shape.view.row_stride = f->shape.view.plane_stride = shape->entry;
    }
    f->inputs = avi_view_values(&f->shape.view) + f->shape.theta;
    f->outputs = outputs;
    f->latent = latent;
    return AVI_OK;
}

static avi_status show_theta(const avi_config *config, avi_infer *f)
{
    f->theta = avi_theta_view_read(config);
    if (!f->theta || f->ops->plain) return AVI_OK;
    const char *key = f->named == f->ops ? "function" : "base";
    return avi_config_fail(config, "inference", "theta",
                           "%s takes no values of theta beside the data; use no, or inference.%s = mlp or polynomial",
                           f->ops->name, key);
}

avi_status avi_infer_create(const avi_config *config, const avi_feature_shape *shape, int64_t outputs, int64_t latent,
                            avi_infer **infer)
{
    avi_status status =
        allocate(config, avi_config_get_string(config, "inference", "function"), shape, outputs, latent, infer);
    avi_infer *f = *infer;
    if (status == AVI_OK) status = show_theta(config, f);
    if (status == AVI_OK) status = avi_plugin_status(AVI_KIND_INFER, f->ops, f->ops->create(f, config));
    if (status == AVI_OK && f->named != f->ops)
        status = avi_plugin_status(AVI_KIND_INFER, f->named, f->named->create(f, config));
    if (status != AVI_OK) avi_infer_destroy(infer);
    return status;
}

avi_status avi_infer_create_local(const avi_config *config, const avi_feature_shape *shape, int64_t outputs,
                                  int64_t latent, avi_infer **infer)
{
    avi_feature_shape own = *shape;
    own.theta = 0;
    return allocate(config, "factorized", &own, outputs, latent, infer);
}

void avi_infer_destroy(avi_infer **infer)
{
    if (!*infer) return;
    free((*infer)->self);
    avi_params_free(&(*infer)->phi);
    free(*infer);
    *infer = NULL;
}
