#include "run/plugins.h"
#include "avi/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const avi_key keys[] = {
    {"run", "plugins", AVI_KEY_PATH_LIST, "", 0, 0, NULL, NULL,
     "shared objects with models, inference functions, families, objectives, optimizers or data sources, separated by "
     "commas (avi/plugin.h says how to make one)"},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

avi_status avi_plugins_register_keys(avi_registry *registry) { return avi_registry_add_keys(registry, keys, KEYS); }

avi_status avi_plugins_config(avi_config **config)
{
    static const avi_key_table table = {.keys = keys, .count = KEYS};
    AVI_TRY(avi_config_create(&table, 1, config));
    avi_config_pass_others(*config);
    return AVI_OK;
}

/* ---- one shared object ---- */

static const char headers[] = "compile it against the headers of this avi_mpi";

/* Whether `entry` was compiled for this program; else CONFIG, with what differs. */
static avi_status check_abi(const avi_config *c, const char *path, const avi_plugin_entry *entry)
{
    static const uint32_t size[] = {AVI_ABI_TYPES(AVI_ABI_SIZE)};
    static const char *const name[] = {
#define NAME(type) #type,
        AVI_ABI_TYPES(NAME)
#undef NAME
    };
    if (memcmp(entry->mark, AVI_PLUGIN_MARK, sizeof entry->mark) != 0)
        return avi_config_fail(c, "run", "plugins", "%s is no plug-in: its entry has no mark; use AVI_PLUGIN(add)",
                               path);
    if (entry->abi != AVI_ABI || entry->sizes != AVI_ABI_SIZES)
        return avi_config_fail(c, "run", "plugins",
                               "%s was compiled for ABI %d with %d types, and this avi_mpi has ABI %d with %d; %s",
                               path, (int)entry->abi, (int)entry->sizes, AVI_ABI, AVI_ABI_SIZES, headers);
    for (int i = 0; i < AVI_ABI_SIZES; i++)
        if (entry->size[i] != size[i])
            return avi_config_fail(c, "run", "plugins",
                                   "%s was compiled with other headers: %s has %u bytes there and %u here; %s", path,
                                   name[i], entry->size[i], size[i], headers);
    return AVI_OK;
}

/* The recorded message as one of run.plugins, whatever the code of the failure was. path: of which file; NULL: of all.
 */
static avi_status refuse(const avi_config *c, const char *path)
{
    char why[1024];
    snprintf(why, sizeof why, "%s", avi_error_text());
    avi_error_clear();
    return avi_config_fail(c, "run", "plugins", "%s%s%s", path ? path : "", path ? ": " : "",
                           *why ? why : "its function add failed without a message; use avi_fail to say why");
}

static avi_status load(const avi_config *c, const char *path, avi_registry *registry)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return avi_config_fail(c, "run", "plugins", "%s cannot be loaded: %s; use a shared object, and %s", path,
                               dlerror(), headers);
    const avi_plugin_entry *entry = dlsym(object, AVI_PLUGIN_SYMBOL);
    if (entry) {
        AVI_TRY(check_abi(c, path, entry));
        return entry->add(registry) == AVI_OK ? AVI_OK : refuse(c, path);
    }
    dlclose(object);
    return avi_config_fail(
        c, "run", "plugins",
        "%s is a shared object, but no plug-in of avi_mpi; use AVI_PLUGIN(add) of avi/plugin.h in it", path);
}

/* ---- the same file on all ranks ---- */

enum { PIECE = 1 << 16 };

/* FNV-1a of the bytes of a file. */
static avi_status checksum(const avi_config *c, const char *path, uint64_t *sum)
{
    unsigned char piece[PIECE];
    FILE *file = fopen(path, "rb");
    *sum = UINT64_C(0xcbf29ce484222325);
    if (!file)
        return avi_config_fail(c, "run", "plugins", "%s: %s; use the path of a shared object", path, strerror(errno));
    for (size_t n; (n = fread(piece, 1, PIECE, file)) > 0;)
        for (size_t i = 0; i < n; i++) *sum = (*sum ^ piece[i]) * UINT64_C(0x100000001b3);
    const int failed = ferror(file) ? errno : 0;
    fclose(file);
    return failed
               ? avi_config_fail(c, "run", "plugins", "%s: %s; use the path of a shared object", path, strerror(failed))
               : AVI_OK;
}

/* Nodes may have folders of their own under one name. */
static avi_status agree_file(avi_comm *comm, const avi_config *c, const char *path)
{
    uint64_t sum = 0, first;
    AVI_TRY(avi_agree(comm, checksum(c, path, &sum)));
    first = sum;
    AVI_TRY(avi_comm_bcast(comm, &first, sizeof first, 0));
    if (first == sum) return avi_agree(comm, AVI_OK);
    return avi_agree(comm, avi_config_fail(c, "run", "plugins",
                                           "%s of %s is another file than that of rank 0; use a path that all nodes "
                                           "share",
                                           path, avi_comm_host()));
}

/* ---- all of them ---- */

/* The paths of the list, one by one. *at moves on; NULL at the end, or when memory is short. Owner: caller. */
static char *next_path(const char **at)
{
    const size_t length = strcspn(*at, ",");
    char *path = length ? strndup(*at, length) : NULL;
    *at += length;
    *at += strspn(*at, ", ");
    return path;
}

/* The keys of all plug-ins must go together: asked of a configuration that has them. */
static avi_status check_keys(const avi_config *c, avi_registry *registry)
{
    avi_config *whole = NULL;
    const avi_status status = avi_registry_config(registry, &whole);
    avi_config_destroy(&whole);
    return status == AVI_OK ? AVI_OK : refuse(c, NULL);
}

avi_status avi_plugins_add(const avi_config *config, avi_registry *registry)
{
    const char *const list = avi_config_get_string(config, "run", "plugins");
    for (const char *at = list; *at;) {
        char *path = next_path(&at);
        const avi_status status = path ? load(config, path, registry) : avi_fail_memory(1, "the path of a plug-in");
        free(path);
        AVI_TRY(status);
    }
    return *list ? check_keys(config, registry) : AVI_OK;
}

avi_status avi_plugins_load(avi_comm *comm, const avi_config *config, avi_registry *registry)
{
    for (const char *at = avi_config_get_string(config, "run", "plugins"); *at;) {
        char *path = next_path(&at);
        avi_status status = avi_agree(comm, path ? AVI_OK : avi_fail_memory(1, "the path of a plug-in"));
        if (status == AVI_OK) status = agree_file(comm, config, path);
        free(path);
        AVI_TRY(status);
    }
    return avi_agree(comm, avi_plugins_add(config, registry));
}
