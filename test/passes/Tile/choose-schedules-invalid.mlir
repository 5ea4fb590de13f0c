// RUN: ingot-opt %s --split-input-file --verify-diagnostics --ingot-choose-schedules
// RUN: not ingot-opt %s --ingot-choose-schedules="schedule=rows=4" 2>&1 | FileCheck %s
// CHECK: expected a schedule to be NAME=NUMBER of row_groups, block_tokens, tile_tokens, panel_tokens, single_groups, got 'rows=4'

// A tuning that is none.
// expected-error @+1 {{expected 'tile.tuning' to be a dictionary}}
module attributes {tile.tuning = 4} {}

// -----

// Of a later compiler.
// expected-error @+1 {{tuning: version 2 is not known to this compiler, which reads 1: measure again with `ingot tune`}}
module attributes {tile.tuning = {version = 2}} {}

// -----

// Of nobody knows which machine.
// expected-error @+1 {{tuning: expected 'machine' to be a text of 1 to 256 bytes}}
module attributes {tile.tuning = {version = 1, threads = 2}} {}

// -----

// A machine without threads.
// expected-error @+1 {{tuning: expected 'threads' to be a number from 1}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 0}} {}

// -----

// expected-error @+1 {{tuning: expected 'stream_gbps' to be a number from}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 1, stream_gbps = 0x7FF8000000000000 : f64}} {}

// -----

// A unit that takes less than no time.
// expected-error @+1 {{tuning: expected 'int8 fill' to be a number from 0}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 1, stream_gbps = 1, nanoseconds = {"int8 fill" = -1.0}}} {}

// -----

// A part that is missing.
// expected-error @+1 {{tuning: expected 'products' to be an object of at most 4096 entries}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 1, stream_gbps = 1, nanoseconds = {}}} {}

// -----

// A shape that is none, of a format that nobody knows.
// expected-error @+1 {{tuning: expected 'products' to be named as 'q4_1 int8 1x576x1536', got 'q9_9 int8 1x4x4'}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 1, stream_gbps = 1, nanoseconds = {},
                                  products = {"q9_9 int8 1x4x4" = {}}}} {}

// -----

// A schedule that no block has.
// expected-error @+1 {{tuning: expected 'row_groups' of a schedule to be a number from 1 to 1024, got 0}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 1, stream_gbps = 1, nanoseconds = {},
    products = {"q4_1 int8 1x64x64" = {schedule = "row_groups=0", microseconds = {}}}}} {}

// -----

// Times of no tokens.
// expected-error @+1 {{tuning: expected 'microseconds' to be named by numbers of tokens, got 'few'}}
module attributes {tile.tuning = {version = 1, machine = "m", threads = 1, stream_gbps = 1, nanoseconds = {},
    products = {"q4_1 int8 1x64x64" = {schedule = "row_groups=2", microseconds = {few = 1.0}}}}} {}
