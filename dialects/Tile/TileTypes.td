//===- TileTypes.td - Layouts, views and enums of the tile dialect -----------------------*- tablegen -*-===//
//
// A tile is a builtin tensor whose encoding is a layout; there is no type of its own, so that arith, math and scf
// ops work on tiles as they are. A view is memory with an element format.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TILE_TYPES
#define INGOT_TILE_TYPES

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypeInterfaces.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/TensorEncoding.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TileDialect : Dialect {
  let name = "tile";
  let cppNamespace = "::ingot::tile";
  let summary = "one kernel, as the program of one block of work";
  let description = [{
    A kernel computes one block of a grid. Its values are tiles: tensors of static sizes (powers of two) with a layout
    that says which element is in which register of which lane. Memory is reached through views. Only ops of `tile`,
    `arith`, `math` and `scf` may stand in a kernel; `arith` and `math` act on tiles element by element, `scf.for`
    and `scf.if` carry them.

    Physical form on a CPU: 8 lanes of 32 bits (a lane of AVX2). Elements of E bits are packed p = min(registers, 32/E) to
    a lane, over the lowest register bits: a tile of R registers and L lanes is R/p vectors of L·p elements, element j of
    lane l at position l·p + j. Predicates (i1) are not packed.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// A module says with the attribute `tile.version` for which version of the dialect it was written; newer ones are
    /// refused.
    static constexpr int64_t version = 1;
    static constexpr ::llvm::StringLiteral versionAttrName = "tile.version";
    void registerTypes();
    void registerAttributes();
  }];
}

class Tile_Attr<string name, string mnemonic_, list<Trait> traits = []> : AttrDef<TileDialect, name, traits> {
  let mnemonic = mnemonic_;
}
class Tile_Type<string name, string mnemonic_> : TypeDef<TileDialect, name> { let mnemonic = mnemonic_; }

//===----------------------------------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------------------------------===//

class Tile_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::ingot::tile";
}

def Tile_Space : Tile_Enum<"Space", "where a view's memory is", [
  I32EnumAttrCase<"Global", 0, "global">, I32EnumAttrCase<"Shared", 1, "shared">]>;

// The order is that of `Count` in include/ingot/Artifact/Format.h.
def Tile_Count : Tile_Enum<"Count", "number that varies from step to step", [
  I32EnumAttrCase<"Tokens", 0, "tokens">, I32EnumAttrCase<"Outputs", 1, "outputs">,
  I32EnumAttrCase<"Sequences", 2, "sequences">]>;

def Tile_Axis : Tile_Enum<"Axis", "axis of the grid", [
  I32EnumAttrCase<"X", 0, "x">, I32EnumAttrCase<"Y", 1, "y">, I32EnumAttrCase<"Z", 2, "z">]>;

def Tile_ReduceKind : Tile_Enum<"ReduceKind", "how a reduction combines two elements", [
  I32EnumAttrCase<"Add", 0, "add">, I32EnumAttrCase<"Max", 1, "max">]>;

def Tile_Atom : Tile_Enum<"Atom", "machine instruction that a contraction is made of", [
  I32EnumAttrCase<"Fma", 0, "fma">, I32EnumAttrCase<"Vpmaddubsw", 1, "vpmaddubsw">,
  I32EnumAttrCase<"Vpdpbusd", 2, "vpdpbusd">, I32EnumAttrCase<"MmaM16N8K16", 3, "mma_m16n8k16">,
  I32EnumAttrCase<"WgmmaM64K16", 4, "wgmma_m64k16">, I32EnumAttrCase<"Vpmaddwd", 5, "vpmaddwd">]>;

//===----------------------------------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------------------------------===//

def Tile_Layout : Tile_Attr<"Layout", "layout", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "linear map from (register, lane, warp, block) to coordinates";
  let description = [{
    Bit i of the register (lane, warp, block) number contributes the i-th basis, a vector of coordinates; contributions
    are combined by exclusive or. A zero basis means that the elements are replicated. See
    include/ingot/Support/LinearLayout.h for the idea.

    Constraints (on the tensor that carries it):
    - (C1) every basis has as many coordinates as the tensor has dimensions.
    - (C2) sizes are static powers of two, and every coordinate of a basis is below the size.
    - (C3) every element of the tensor is in some register (the map is surjective).
    - (C4) elements are i1, i8, i16, i32, f16, bf16 or f32.

    ```mlir
    // 8 rows in 8 lanes, 32 columns in registers: 8 vectors of 8 lanes with 4 bytes each.
    tensor<8x32xi8, #tile.layout<register = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], lane = [[1, 0], [2, 0], [4, 0]]>>
    ```
  }];
  let parameters = (ins "unsigned":$rank, ArrayRefParameter<"int64_t">:$registers, ArrayRefParameter<"int64_t">:$lanes,
                        ArrayRefParameter<"int64_t">:$warps, ArrayRefParameter<"int64_t">:$blocks);
  let hasCustomAssemblyFormat = 1;
  let builders = [
    AttrBuilder<(ins "unsigned":$rank, "::llvm::ArrayRef<int64_t>":$registers, "::llvm::ArrayRef<int64_t>":$lanes), [{
      return $_get($_ctxt, rank, registers, lanes, ::llvm::ArrayRef<int64_t>(), ::llvm::ArrayRef<int64_t>());
    }]>,
    // Each basis as a list of coordinates.
    AttrBuilder<(ins "::llvm::ArrayRef<::llvm::SmallVector<int64_t>>":$registers,
                     "::llvm::ArrayRef<::llvm::SmallVector<int64_t>>":$lanes)>];
  let extraClassDeclaration = [{
    unsigned getRegisterBits() const { return getRank() ? getRegisters().size() / getRank() : 0; }
    unsigned getLaneBits() const { return getRank() ? getLanes().size() / getRank() : 0; }
    /// The map as an algebraic object; inputs in the order register, lane, warp, block.
    ::ingot::LinearLayout getLinearLayout(::llvm::ArrayRef<int64_t> shape) const;
    /// Layout after dimension `dim` became 1: its coordinates are zeroed, registers that then repeat are dropped.
    LayoutAttr getReduced(unsigned dim) const;
    /// Layout after a permutation of dimensions: result dimension i is dimension `permutation[i]`.
    LayoutAttr getTransposed(::llvm::ArrayRef<int64_t> permutation) const;
    /// Layout of the same elements, in row-major order, seen with another shape.
    LayoutAttr getReshaped(::llvm::ArrayRef<int64_t> from, ::llvm::ArrayRef<int64_t> to) const;
  }];
}

def Tile_Packed : Tile_Attr<"Packed", "packed"> {
  let summary = "order of a packed weight's bytes";
  let description = [{
    Bytes of a weight of the numeric format `format` in groups of `rows` rows, interleaved or `planar` (what GPUs read), in the
    order that include/ingot/Support/Packing.h defines.

    Constraints:
    - (C1) `format` names a numeric format.
    - (C2) `rows` is a power of two.
    - (C3) a float format is not planar.
  }];
  let parameters = (ins StringRefParameter<"numeric format">:$format, "int64_t":$rows, "bool":$planar);
  let builders = [
    AttrBuilder<(ins "::llvm::StringRef":$format, "int64_t":$rows), [{
      return $_get($_ctxt, format, rows, false);
    }]>];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Tile_Extent : Tile_Attr<"Extent", "extent"> {
  let summary = "number of blocks along one axis of a grid";
  let description = [{
    ceil((n · multiplier + addend) / divisor), n the value of `count`, 1 without one: GridExtent of
    include/ingot/Artifact/Format.h. Printed as `72`, `tokens`, `tokens ceildiv 4`, `tokens * 3 + 1 ceildiv 8`. Where the sum
    is negative there are no blocks: `tokens * -1 + 9 ceildiv 8` is 1 up to 8 tokens, 0 with more.

    Constraints:
    - (C1) `divisor` ≥ 1.
    - (C2) an extent without `count` has multiplier 0, an addend ≥ 0 and divisor 1: the number is its addend.
  }];
  let parameters = (ins "std::optional<::ingot::tile::Count>":$count, "int64_t":$multiplier, "int64_t":$addend,
                        "int64_t":$divisor);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    AttrBuilder<(ins "int64_t":$number), [{ return $_get($_ctxt, std::nullopt, 0, number, 1); }]>,
    AttrBuilder<(ins "::ingot::tile::Count":$count, CArg<"int64_t", "1">:$divisor), [{
      return $_get($_ctxt, count, 1, 0, divisor);
    }]>];
  let extraClassDeclaration = [{
    /// Blocks where `count` has the value `value`.
    int64_t evaluate(int64_t value) const {
      int64_t numerator = (getCount() ? value * getMultiplier() : 0) + getAddend();
      return numerator <= 0 ? 0 : (numerator + getDivisor() - 1) / getDivisor();
    }
  }];
}

def Tile_ExtentArrayAttr : TypedArrayAttrBase<Tile_Extent, "array of extents">;

//===----------------------------------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------------------------------===//

def Tile_View : Tile_Type<"View", "view"> {
  let summary = "memory with a shape, an element format and strides";
  let description = [{
    Sizes are numbers, counts (`tokens`, `outputs`, `sequences`) or `?` (unknown: never masked, only indexed). Strides
    count elements and are left out where the view is row-major. The element format is a type or a packing of a
    weight. A view without a space is in global memory.

    Constraints:
    - (C1) rank is 1 to 5; sizes are positive, counts or `?`.
    - (C2) a view of elements has as many non-negative strides as sizes; without strides all sizes but the first are
      numbers.
    - (C3) a packed view has rank 2, numbers as sizes, no strides, and is global.

    ```mlir
    !tile.view<[tokens, 576], f32>
    !tile.view<[tokens, 3, 3, 64], f32, strides = [960, 192, 64, 1]>
    !tile.view<[1536, 576], #tile.packed<q4_1, rows = 8>>
    !tile.view<[64, 64], f16, shared>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
                        ArrayRefParameter<"int64_t">:$strides, "::ingot::tile::PackedAttr":$packing,
                        "::ingot::tile::Space":$space);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    // Row-major view in global memory.
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::mlir::Type":$elementType)>,
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::mlir::Type":$elementType,
                     "::llvm::ArrayRef<int64_t>":$strides), [{
      return $_get($_ctxt, shape, elementType, strides, PackedAttr(), Space::Global);
    }]>,
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::ingot::tile::PackedAttr":$packing), [{
      return $_get($_ctxt, shape, ::mlir::NoneType::get($_ctxt), ::llvm::ArrayRef<int64_t>(), packing, Space::Global);
    }]>];
  let extraClassDeclaration = [{
    /// How a size that is a count is kept in the shape: a small negative number.
    static int64_t sizeFor(Count count) { return -1 - int64_t(count); }
    static bool isCount(int64_t size) { return size < 0 && size >= -3; }
    static Count countOf(int64_t size) { return Count(-1 - size); }
    static constexpr int64_t unknown = ::mlir::ShapedType::kDynamic;

    int64_t getRank() const { return getShape().size(); }
    bool isPacked() const { return bool(getPacking()); }
    static ::llvm::SmallVector<int64_t> rowMajorStrides(::llvm::ArrayRef<int64_t> shape);
  }];
}

def Tile_Token : Tile_Type<"Token", "token"> {
  let summary = "asynchronous copy that has been started";
}

//===----------------------------------------------------------------------------------------------===//
// Constraints of operands
//===----------------------------------------------------------------------------------------------===//

def Tile_Tile : Type<CPred<"::ingot::tile::isTile($_self)">, "tile", "::mlir::RankedTensorType">;
class Tile_TileOf<list<Type> elements, string summary> :
    Type<And<[Tile_Tile.predicate, RankedTensorOf<elements>.predicate]>, summary, "::mlir::RankedTensorType">;
def Tile_I1 : Tile_TileOf<[I1], "tile of i1">;
def Tile_I8 : Tile_TileOf<[I8], "tile of i8">;
def Tile_I32 : Tile_TileOf<[I32], "tile of i32">;
def Tile_F32 : Tile_TileOf<[F32], "tile of f32">;

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<TileDialect, mnemonic, traits>;

#endif // INGOT_TILE_TYPES
