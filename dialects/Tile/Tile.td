//===- Tile.td - The tile dialect --------------------------------------------------------*- tablegen -*-===//
//
// One kernel, as the program of one block of work. This file is the dialect's root; types and attributes are in
// TileTypes.td, ops by theme beside it: kernels and launches, memory, arithmetic on tiles, roles of
// warps.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TILE
#define INGOT_TILE

include "dialects/Tile/TileTypes.td"
include "dialects/Tile/KernelOps.td"
include "dialects/Tile/MemoryOps.td"
include "dialects/Tile/ComputeOps.td"
include "dialects/Tile/RoleOps.td"

#endif // INGOT_TILE
