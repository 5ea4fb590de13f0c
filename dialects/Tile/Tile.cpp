//===- Tile.cpp - Registration of the tile dialect --------------------------------------------------===//
//
// Registers what the tables generate. Attributes and types are in the files of that name; verifiers
// of ops are in the file named as their .td.
//
//===----------------------------------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "dialects/Version.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace ingot::tile;

#include "dialects/Tile/TileDialect.cpp.inc"
#include "dialects/Tile/TileEnums.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Tile/Tile.cpp.inc"

namespace {
/// Layouts are long and come often: they print as `#layout`, `#layout1`, ... defined at the top.
struct Aliases : OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;
  AliasResult getAlias(Attribute attribute, raw_ostream &os) const override {
    if (!isa<LayoutAttr>(attribute))
      return AliasResult::NoAlias;
    os << "layout";
    return AliasResult::FinalAlias;
  }
};
} // namespace

void TileDialect::initialize() {
  addInterfaces<Aliases>();
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/Tile.cpp.inc"
      >();
}

LogicalResult TileDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  return attribute.getName() == versionAttrName ? ingot::verifyVersion(op, attribute, version)
                                                : success();
}

bool ingot::tile::isTile(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa_and_nonnull<LayoutAttr>(tensor.getEncoding());
}

LayoutAttr ingot::tile::getLayout(Type tile) {
  return cast<LayoutAttr>(cast<RankedTensorType>(tile).getEncoding());
}

RankedTensorType ingot::tile::getTileType(ArrayRef<int64_t> shape, Type element,
                                          LayoutAttr layout) {
  return RankedTensorType::get(shape, element, layout);
}

RankedTensorType ingot::tile::getReducedType(RankedTensorType tile, unsigned dim) {
  SmallVector<int64_t> shape(tile.getShape());
  shape[dim] = 1;
  return getTileType(shape, tile.getElementType(), getLayout(tile).getReduced(dim));
}

RankedTensorType ingot::tile::withElement(RankedTensorType tile, Type element) {
  return getTileType(tile.getShape(), element, getLayout(tile));
}
