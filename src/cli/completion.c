/* --reference=bash: options, keys and values of choices for the completion of bash. It needs no other file: bash 4.2
 * is enough, and the package bash-completion only finds the file by its name. */
#include "cli/options.h"
#include "cli/pages.h"

#include <string.h>

/* Names are letters, digits, dots, hyphens and underscores, so that nothing has to be quoted. */
static void put_name(void *user, const avi_key *key, const avi_key_table *table, const char *kind)
{
    (void)table;
    (void)kind;
    (void)fprintf(user, "%s.%s\n", key->section, key->name);
}

/* A line "section.key words" for each key whose values have names or are files (@). A key of several tables has
 * several. */
static void put_values(void *user, const avi_key *key, const avi_key_table *table, const char *kind)
{
    (void)table;
    (void)kind;
    FILE *out = user;
    const char *words = NULL;
    switch (key->type) {
    case AVI_KEY_BOOL:
        words = "yes no";
        break;
    case AVI_KEY_CHOICE:
        words = key->choices;
        break;
    case AVI_KEY_PATH:
    case AVI_KEY_PATH_LIST:
        words = "@";
        break;
    case AVI_KEY_STRING: /* folders and files of results are texts, and a number has nothing to offer */
        words = key->unit ? NULL : "@";
        break;
    case AVI_KEY_INT:
    case AVI_KEY_REAL:
    case AVI_KEY_INT_LIST:
        break;
    }
    if (!words) return;
    (void)fprintf(out, "%s.%s ", key->section, key->name);
    for (const char *c = words; *c; c++)
        if (!strchr("| ", *c))
            (void)fputc(*c, out);
        else if (*c == ' ' && c[1] != '|')
            (void)fputc(' ', out);
    (void)fputc('\n', out);
}

static void put_options(FILE *out)
{
    (void)fputs("_avi_mpi_options='\n", out);
    for (const avi_command_option *o = avi_command_options; o->name; o++) (void)fprintf(out, "%s\n", o->name);
    (void)fputs("'\n# Values behind a = of an option.\n_avi_mpi_option_values='\n", out);
    for (const avi_command_option *o = avi_command_options; o->name; o++)
        if (o->words) (void)fprintf(out, "%s %s\n", o->name, o->words);
    (void)fputs("'\n", out);
}

static const char functions[] =
    "# _avi_mpi_words TABLE NAME    the words of the lines of TABLE that begin with NAME\n"
    "_avi_mpi_words() {\n"
    "    local name words\n"
    "    while read -r name words; do\n"
    "        if [ \"$name\" = \"$2\" ]; then printf '%s\\n' $words; fi\n"
    "    done <<<\"$1\"\n"
    "}\n"
    "\n"
    "_avi_mpi() {\n"
    "    # The word at the cursor from the line itself: bash breaks its own words at = and :, which keys have.\n"
    "    local line=${COMP_LINE:0:COMP_POINT} word name value before words part hidden file=no i\n"
    "    word=${line##*[[:space:]]}\n"
    "    before=${line%\"$word\"}\n"
    "    before=${before%\"${before##*[![:space:]]}\"}\n"
    "    before=${before##*[[:space:]]}\n"
    "    COMPREPLY=()\n"
    "    for i in ${line%\"$word\"}; do\n"
    "        case $i in *avi_mpi | -* | *=*) ;; *) if [ -e \"$i\" ]; then file=yes; fi ;; esac\n"
    "    done\n"
    "    case $before in --sweep | --groups | --part) return ;; esac\n"
    "    if [[ $line == *' --status '* ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
    "        return\n"
    "    fi\n"
    "    if [[ $word == *=* ]]; then\n"
    "        name=${word%%=*} value=${word#*=}\n"
    "        case $name in\n"
    "            --help-keys) words=$(printf '%s\\n' $_avi_mpi_keys | sed 's/\\..*//' | sort -u) ;;\n"
    "            -*) words=$(_avi_mpi_words \"$_avi_mpi_option_values\" \"$name\") ;;\n"
    "            *) words=$(_avi_mpi_words \"$_avi_mpi_values\" \"$name\" | sort -u) ;;\n"
    "        esac\n"
    "        if [ \"$words\" = @ ]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            part=${value%\"${value##*,}\"} # of several files, those before the last comma\n"
    "            mapfile -t COMPREPLY < <(compgen -P \"$part\" -f -- \"${value##*,}\")\n"
    "        else\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$value\")\n"
    "        fi\n"
    "        # Bash replaces what stands behind the = where it breaks words there, else all of the word.\n"
    "        if [[ $COMP_WORDBREAKS != *=* ]]; then COMPREPLY=(\"${COMPREPLY[@]/#/$name=}\"); fi\n"
    "    elif [[ $word == -* ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$_avi_mpi_options\" -- \"$word\")\n"
    "    else\n"
    "        # First the sections, so that a list fits on the screen; then the keys of one.\n"
    "        if [[ $word == *.* ]]; then\n"
    "            mapfile -t COMPREPLY < <(compgen -S = -W \"$(printf '%s\\n' $_avi_mpi_keys | sort -u)\" -- "
    "\"$word\")\n"
    "        else\n"
    "            mapfile -t COMPREPLY < <(compgen -S . -W \"$(printf '%s\\n' $_avi_mpi_keys | sed 's/\\..*//' | sort "
    "-u)\" -- \"$word\")\n"
    "        fi\n"
    "        if [ ${#COMPREPLY[@]} -gt 0 ]; then compopt -o nospace 2>/dev/null; fi\n"
    "        if [ $file = no ]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            while read -r i; do COMPREPLY+=(\"$i\"); done < <(compgen -d -- \"$word\"; compgen -f -X '!*.ini' -- "
    "\"$word\")\n"
    "        fi\n"
    "    fi\n"
    "}\n"
    "complete -F _avi_mpi avi_mpi\n";

void avi_bash_completion(const avi_config *config, FILE *out)
{
    (void)fputs("# Completion of avi_mpi for bash. Written by avi_mpi --reference=bash from the tables of the program: "
                "change those,\n"
                "# not this file. For the keys of plug-ins too: avi_mpi --reference=bash run.plugins=./libmine.so\n"
                "# shellcheck shell=bash disable=SC2034,SC2046,SC2086,SC2207\n",
                out);
    put_options(out);
    (void)fputs("_avi_mpi_keys='\n", out);
    avi_config_each_key(config, put_name, out);
    (void)fputs("'\n# Values of keys; @ stands for files.\n_avi_mpi_values='\n", out);
    avi_config_each_key(config, put_values, out);
    (void)fputs("'\n\n", out);
    (void)fputs(functions, out);
}
