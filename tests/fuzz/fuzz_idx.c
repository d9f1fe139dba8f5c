/* Any bytes as the file of data.source = idx. */
#include "fuzz_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static avi_config *config;
    fuzz_start();
    if (!config) config = fuzz_config("idx", "");
    FILE *file = fopen(fuzz_path, "wb");
    must(file != NULL, "file");
    must(fwrite(data, 1, size, file) == size && fclose(file) == 0, "write");
    fuzz_load(config, size);
    return 0;
}
