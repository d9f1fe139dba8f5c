#include "avi/family.h"

avi_status avi_family_register(avi_registry *registry, const avi_family *family)
{
    if (!family->width || !family->draw || !family->entropy || !family->logq || !family->moments)
        return avi_fail(AVI_ERR_INTERNAL, "variational family %s has no width, draw, entropy, logq or moments",
                        family->name ? family->name : "without a name");
    return avi_registry_add(registry, AVI_KIND_FAMILY, family);
}
