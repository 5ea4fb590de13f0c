//===- RoleOps.td - Roles of a block's warps, and rings between them ----------------------*- tablegen -*-===//
//
// A block of a GPU may give its warps different programs: some only start copies (producers), some only compute
// (consumers). What passes between them are the slots of a ring of shared memory, each with a pair of barriers that
// the hardware counts: filled, and free again. Emitters know nothing of roles; a pass writes them.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TILE_ROLE_OPS
#define INGOT_TILE_ROLE_OPS

include "dialects/Tile/TileTypes.td"

def Tile_Ring : Tile_Type<"Ring", "ring"> {
  let summary = "slots that are filled by one role and read by others, in turn";
}

defvar useText = [{
    Uses of a ring are numbered 0, 1, 2, … by all who take part; use u is of slot u mod `slots`. The program computes
    that slot's place in its views itself. No phases or parities are written: they follow from the number.
}];

def RolesOp : Tile_Op<"roles", [RecursiveMemoryEffects, SingleBlock, NoRegionArguments]> {
  let summary = "programs that groups of the block's warps run at the same time";
  let description = [{
    Region i is run by the next `warps[i]` warps; warps are counted from 0 in each role's layouts. The op ends when all
    roles have ended. It orders memory as a barrier does, where it begins and where it ends.

    Inside a role `tile.barrier` is one of this role's threads alone, and `tile.wait` waits for copies that this role
    started. Between roles only a ring orders memory; a role touches no shared memory that another one writes but
    through one.

    Constraints:
    - (C1) `warps` has a positive number for each region.
    - (C2) no layout inside a role has more warps than the role.
    - (C3) roles do not nest.

    ```mlir
    tile.roles role 1 {
      scf.for %u = %c0 to %n step %c1 {
        %slot = arith.remui %u, %c4 : index
        tile.acquire %ring[%u]
        %t = tile.copy_async %a[%c0, %u] to %s[%slot, %c0] [1, 64]
            : !tile.view<[8, 576], f32> to !tile.view<[4, 64], f32, shared>
        tile.commit %ring[%u] (%t)
      }
    } role 4 {
      scf.for %u = %c0 to %n step %c1 {
        %slot = arith.remui %u, %c4 : index
        tile.await %ring[%u]
        %x = tile.load %s[%slot, %c0] : !tile.view<[4, 64], f32, shared> -> tensor<1x64xf32, #consumer>
        tile.release %ring[%u]
      }
    }
    ```
  }];
  let arguments = (ins DenseI64ArrayAttr:$warps);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
}

def EndRoleOp : Tile_Op<"end_role", [Pure, Terminator, HasParent<"RolesOp">]> {
  let summary = "end of a role; not written in text";
  let assemblyFormat = "attr-dict";
}

def RingOp : Tile_Op<"ring", [MemoryEffects<[MemAlloc]>]> {
  let summary = "ring of slots, all free";
  let description = useText # [{
    A use goes through four steps, each by all threads of a role:

        acquire (producer: the slot is free) → commit (it is full once the copies have arrived)
        → await (a reader: it is full) → release (this reader is done); free when `readers` roles have released it

    Memory: what a role did before `commit` (`release`) is seen by a role after its `await` (`acquire`) of that use.

    Constraints:
    - (C1) `slots` and `readers` are positive.

    ```mlir
    %ring = tile.ring slots 4 readers 1
    ```
  }];
  let arguments = (ins I64Attr:$slots, I64Attr:$readers);
  let results = (outs Tile_Ring:$result);
  let assemblyFormat = "`slots` $slots `readers` $readers attr-dict";
  let hasVerifier = 1;
}

class Tile_RingStep<string mnemonic> : Tile_Op<mnemonic, [MemoryEffects<[MemRead, MemWrite]>]> {
  let arguments = (ins Tile_Ring:$ring, Index:$use);
  let assemblyFormat = "$ring `[` $use `]` attr-dict";
}

def AcquireOp : Tile_RingStep<"acquire"> {
  let summary = "wait until a use's slot is free";
  let description = [{
    Waits until all readers have released use `use` - slots; the first `slots` uses are free from the start. One role
    acquires all uses of a ring, one after the other from 0 on.

    ```mlir
    tile.acquire %ring[%u]
    ```
  }];
}

def CommitOp : Tile_Op<"commit", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "say that a use's slot is full when copies have arrived";
  let description = [{
    Does not wait. The slot is full once all threads of the role have come here and the copies `tokens` have arrived;
    they need no `tile.wait`. Each use is committed once, after its `tile.acquire`.

    ```mlir
    tile.commit %ring[%u] (%t0, %t1)
    tile.commit %ring[%u]
    ```
  }];
  let arguments = (ins Tile_Ring:$ring, Index:$use, Variadic<Tile_Token>:$tokens);
  let assemblyFormat = "$ring `[` $use `]` (`(` $tokens^ `)`)? attr-dict";
}

def AwaitOp : Tile_RingStep<"await"> {
  let summary = "wait until a use's slot is full";
  let description = [{
    After it the copies of the use have arrived and are seen by all threads of this role, without a barrier.

    ```mlir
    tile.await %ring[%u]
    ```
  }];
}

def ReleaseOp : Tile_RingStep<"release"> {
  let summary = "say that this role is done with a use's slot";
  let description = [{
    Does not wait. Reads of an asynchronous contraction are not done before its `tile.wait`. A role releases a use once,
    after its `tile.await`.

    ```mlir
    tile.release %ring[%u]
    ```
  }];
}

#endif // INGOT_TILE_ROLE_OPS
