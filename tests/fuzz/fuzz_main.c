/* Runs a libFuzzer target over files and folders, for compilers without libFuzzer:
 *   fuzz_NAME [-random N SEED] PATH ...
 * -random: after the inputs as they are, N changed ones (bits flipped, bytes set, cut, doubled, spliced with another
 * input). Each is written to fuzz_input.PID in the current folder first: what crashes the target stays there. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

static input *inputs;
static size_t input_count;

static void stop(const char *what, const char *path)
{
    fprintf(stderr, "fuzz: %s: %s\n", path, what);
    exit(2);
}

static void *get(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) stop("memory is short", "malloc");
    return memory;
}

static void add_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    if (!file || fstat(fileno(file), &about) != 0) stop("cannot be read", path);
    input new = {.data = get((size_t)about.st_size), .size = (size_t)about.st_size};
    if (fread(new.data, 1, new.size, file) != new.size) stop("cannot be read", path);
    fclose(file);
    input *more = realloc(inputs, (input_count + 1) * sizeof *more);
    if (!more) stop("memory is short", path);
    inputs = more;
    inputs[input_count++] = new;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* A file, or all files of a folder by name: the same order on every machine. */
static void add_path(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) stop("no such file", path);
    if (!S_ISDIR(about.st_mode)) {
        add_file(path);
        return;
    }
    struct dirent **names;
    const int count = scandir(path, &names, NULL, by_name);
    if (count < 0) stop("cannot be listed", path);
    for (int i = 0; i < count; ++i) {
        char whole[4096];
        snprintf(whole, sizeof whole, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') add_file(whole);
        free(names[i]);
    }
    free(names);
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Replaces [at, at + gone) by `count` bytes from `from`. */
static input replace(input old, size_t at, size_t gone, const uint8_t *from, size_t count)
{
    input new = {.data = get(old.size - gone + count), .size = old.size - gone + count};
    if (at) memcpy(new.data, old.data, at);
    if (count) memcpy(new.data + at, from, count);
    if (old.size - at - gone) memcpy(new.data + at + count, old.data + at + gone, old.size - at - gone);
    free(old.data);
    return new;
}

static input change(input old, uint64_t *state)
{
    static const uint8_t odd[] = {0x00, 0xff, 0x7f, 0x80, 0x01, '\n', '\r', ' ', ';', '[',
                                  ']',  '=',  '$',  '{',  '}',  '.',  '-',  '0', '9', 'e'};
    const size_t at = old.size ? (size_t)(draw(state) % old.size) : 0;
    const size_t left = old.size - at;
    const input other = inputs[draw(state) % input_count];
    const size_t from = other.size ? (size_t)(draw(state) % other.size) : 0;
    const uint64_t kind = draw(state) % 7;
    if (kind < 2 && old.size) {
        const uint8_t mask = (uint8_t)(1u << (draw(state) % 8));
        old.data[at] = kind ? odd[draw(state) % sizeof odd] : (uint8_t)(old.data[at] ^ mask);
        return old;
    }
    if (kind == 2) { /* insert an odd byte, up to 300 times: longer than a line of inih */
        uint8_t many[300];
        memset(many, odd[draw(state) % sizeof odd], sizeof many);
        return replace(old, at, 0, many, draw(state) % 8 ? 1 : (size_t)(draw(state) % sizeof many));
    }
    if (kind == 3) return replace(old, at, left ? (size_t)(draw(state) % left) % 40 : 0, NULL, 0);
    if (kind == 4 && left) { /* double a piece */
        const size_t count = (size_t)(draw(state) % left) % 200 + 1;
        uint8_t piece[200];
        memcpy(piece, old.data + at, count < left ? count : left);
        return replace(old, at, 0, piece, count < left ? count : left);
    }
    if (kind == 5) return replace(old, at, 0, other.data + from, (other.size - from) % 400); /* insert from another */
    return replace(old, at, left, other.data + from, other.size - from);                     /* go on as another */
}

static void keep(const char *path, input in)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(in.data, 1, in.size, file) != in.size || fclose(file) != 0) stop("cannot be written", path);
}

static void run_changed(long runs, uint64_t seed)
{
    char path[64];
    snprintf(path, sizeof path, "fuzz_input.%ld", (long)getpid());
    uint64_t state = seed;
    for (long i = 0; i < runs; ++i) {
        const input start = inputs[draw(&state) % input_count];
        input in = {.data = get(start.size), .size = start.size};
        if (start.size) memcpy(in.data, start.data, start.size);
        for (uint64_t changes = 1 + draw(&state) % 6; changes > 0; --changes) in = change(in, &state);
        keep(path, in); /* a crash leaves it behind */
        LLVMFuzzerTestOneInput(in.data, in.size);
        free(in.data);
    }
    unlink(path);
}

int main(int argc, char **argv)
{
    long runs = 0;
    uint64_t seed = 1;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "-random") == 0 && i + 2 < argc) {
            runs = strtol(argv[i + 1], NULL, 10);
            seed = strtoull(argv[i + 2], NULL, 10);
            i += 2;
        } else {
            add_path(argv[i]);
        }
    }
    if (input_count == 0) stop("no inputs; give files or folders", argv[0]);
    for (size_t i = 0; i < input_count; ++i) LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
    if (runs > 0) run_changed(runs, seed);
    printf("fuzz: %zu inputs and %ld changed ones, seed %llu: all well\n", input_count, runs, (unsigned long long)seed);
    for (size_t i = 0; i < input_count; ++i) free(inputs[i].data);
    free(inputs);
    return 0;
}
