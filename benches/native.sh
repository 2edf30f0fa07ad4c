#!/bin/sh
# The workspace's own crates for this processor, their dependencies as they are:
#
#   RUSTC_WORKSPACE_WRAPPER=$PWD/benches/native.sh cargo bench -p gridloom-benches --bench grid
#
# RUSTFLAGS would compile everything anew, DataFusion among it; cargo calls a workspace wrapper for
# members only, and keeps what it makes beside what it made without.
exec "$@" -C target-cpu=native
