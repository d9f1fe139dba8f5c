#!/usr/bin/env bash
# gcc -fanalyzer, cppcheck and clang-tidy over src: run.sh [--tool analyzer|cppcheck|clang-tidy] [FILE ...]; accepted.txt says what is accepted and why.
exec "${AVI_PYTHON:-python3}" "$(dirname "$0")/run.py" "$@"
