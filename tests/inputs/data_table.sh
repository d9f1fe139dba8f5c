#!/bin/bash
# README's table of the data that are accepted is what the program prints.
set -u
table=$(sed -n '/<!-- data: begin -->/,/<!-- data: end -->/p' "$AVI_SOURCE_DIR/README.md" | sed '1d;$d')
if [ "$table" != "$("$AVI_MPI" --list=data)" ]; then
  echo "README.md: the table between <!-- data: begin --> and end is not what avi_mpi --list=data prints; put that there"
  diff <(echo "$table") <("$AVI_MPI" --list=data)
  exit 1
fi
