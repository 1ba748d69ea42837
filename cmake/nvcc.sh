#!/bin/sh
# nvcc.sh REPORT COMMAND…: runs the compiler; what it says goes to REPORT, and to the terminal
# when it fails.
report=$1
shift
if "$@" >"$report" 2>&1; then exit 0; fi
status=$?
cat "$report" >&2
rm -f "$report"
exit "$status"
