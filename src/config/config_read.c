/* Reading a configuration: rank 0 reads the file, all ranks parse the same block. */
#include "config/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Owner of *text: caller. */
static avi_status read_file(const char *path, char **text, size_t *bytes)
{
    *text = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR)
            return avi_fail(AVI_ERR_NOINPUT, "%s: no such configuration file; give the path of an .ini file", path);
        return avi_fail(AVI_ERR_NOINPUT, "%s: cannot read the configuration file: %s", path, strerror(errno));
    }
    struct stat about;
    if (fstat(fileno(file), &about) == 0 && S_ISDIR(about.st_mode)) {
        fclose(file);
        return avi_fail(AVI_ERR_NOINPUT, "%s: is a folder; give the path of an .ini file", path);
    }
    const size_t room = AVI_CONFIG_FILE_LIMIT + 1;
    char *data = malloc(room);
    if (!data) {
        fclose(file);
        return avi_fail_memory(room, "the configuration file");
    }
    const size_t got = fread(data, 1, room, file);
    const bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || got == room) {
        free(data);
        return failed ? avi_fail(AVI_ERR_CONFIG, "%s: cannot be read to its end", path)
                      : avi_fail(AVI_ERR_CONFIG, "%s: larger than %d bytes; a configuration file is a short text", path,
                                 AVI_CONFIG_FILE_LIMIT);
    }
    *text = data;
    *bytes = got;
    return AVI_OK;
}

static avi_status read_source(const char *path, int count, const char *const *overrides, avi_source *source)
{
    char *text;
    size_t bytes = 0;
    if (!path) return avi_source_create("", "", 0, count, overrides, source);
    AVI_TRY(read_file(path, &text, &bytes));
    const avi_status status = avi_source_create(path, text, bytes, count, overrides, source);
    free(text);
    return status;
}

/* What rank 0 has read, with its status, goes to all ranks, which take it. */
static avi_status share(avi_config *config, avi_comm *comm, avi_status read, avi_source *from)
{
    avi_source source = *from;
    const bool first = avi_comm_rank(comm) == 0;
    AVI_TRY(avi_agree(comm, read));
    int64_t sizes[3] = {source.text_bytes, source.overrides, source.bytes};
    avi_status status = avi_comm_bcast(comm, sizes, sizeof sizes, 0);
    if (!first) {
        source = (avi_source){.text_bytes = sizes[0], .overrides = sizes[1], .bytes = sizes[2]};
        source.data = malloc((size_t)source.bytes + 1);
        if (!source.data) status = avi_fail_memory((size_t)source.bytes, "the configuration");
    }
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_comm_bcast(comm, source.data, (size_t)source.bytes, 0);
    if (status != AVI_OK) {
        free(source.data);
        return status;
    }
    /* Mistakes are the same on all ranks, with the same message; only a shortage of memory may hit one alone. */
    status = avi_config_take(config, &source);
    AVI_TRY(avi_agree(comm, status == AVI_ERR_CONFIG ? AVI_OK : status));
    return status;
}

avi_status avi_config_read(avi_config *config, avi_comm *comm, const char *path, int count,
                           const char *const *overrides)
{
    avi_source source = {0};
    const bool first = avi_comm_rank(comm) == 0;
    return share(config, comm, first ? read_source(path, count, overrides, &source) : AVI_OK, &source);
}

avi_status avi_config_read_text(avi_config *config, avi_comm *comm, const char *name, const char *text, int count,
                                const char *const *overrides)
{
    avi_source source = {0};
    const bool first = avi_comm_rank(comm) == 0;
    return share(config, comm, first ? avi_source_create(name, text, strlen(text), count, overrides, &source) : AVI_OK,
                 &source);
}
avi_status avi_config_parse(avi_config *config, const char *name, const char *text, int count,
                            const char *const *overrides)
{
    avi_source source;
    AVI_TRY(avi_source_create(name, text, strlen(text), count, overrides, &source));
    return avi_config_take(config, &source);
}
