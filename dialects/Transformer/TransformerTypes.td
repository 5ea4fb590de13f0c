//===- TransformerTypes.td - Dialect, types, enums ------------------------------------*- tablegen -*-===//
//
// What all op files of the dialect share. Shapes in op documentation are letters: B sequences of the dense
// program, S token slots of a sequence, T packed tokens, R wanted rows, H query heads, N key-value heads,
// D head dimension, C channels in, F features out, V vocabulary.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_TYPES
#define INGOT_TRANSFORMER_TYPES

include "dialects/Transformer/TransformerInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TransformerDialect : Dialect {
  let name = "transformer";
  let cppNamespace = "::ingot::transformer";
  let summary = "Transformer models on tensors, device-free";
  let description = [{
    The level on which models enter, are proven equal, compressed and fused. Weights are symbols with a type of
    their own (`!transformer.weight`), never constants: bytes stay outside of the IR. Ops are those that a paper
    names; plain arithmetic stays in `arith`, `math`, `tensor` and `linalg` on plain tensors.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// A module says with the attribute `transformer.version` for which version of the dialect it was written; newer
    /// ones are refused.
    static constexpr int64_t version = 1;
    static constexpr ::llvm::StringLiteral versionAttrName = "transformer.version";
    /// After the partition stage a module says with `transformer.devices` how many devices run it.
    static constexpr ::llvm::StringLiteral devicesAttrName = "transformer.devices";
    void registerTypes();
  }];
}

class Transformer_Type<string typeName, string typeMnemonic> : TypeDef<TransformerDialect, typeName> {
  let mnemonic = typeMnemonic;
}

def Transformer_Weight : Transformer_Type<"Weight", "weight"> {
  let summary = "weight of a model, with its shape and numeric format";
  let description = [{
    A weight is not a tensor: its numbers are stored in a numeric format (blocks, scales, codebooks) that a tensor's
    element type cannot say, and its bytes are outside of the IR. `shape` is [F, C] for products (y = W x), [V, C] for
    embeddings and [C] for vectors; `format` is the name of a numeric format. After the tile stage `packing` says the
    order of bytes in memory that the kernels of one target read.

    ```mlir
    !transformer.weight<[1536, 576], q4_1>
    !transformer.weight<[1536, 576], q4_1, #tile.packed<q4_1, rows = 8>>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, StringRefParameter<"numeric format">:$format,
                        OptionalParameter<"::mlir::Attribute">:$packing);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::llvm::StringRef":$format), [{
    return $_get($_ctxt, shape, format, ::mlir::Attribute());
  }]>];
  let extraClassDeclaration = [{
    int64_t getRank() const { return getShape().size(); }
    /// Number of rows: F of [F, C]; 1 for a vector.
    int64_t getRows() const { return getRank() == 1 ? 1 : getShape().front(); }
    /// Length of a row: C.
    int64_t getColumns() const { return getShape().back(); }
    /// The same weight in another order of bytes.
    WeightType withPacking(::mlir::Attribute packing) const {
      return WeightType::get(getContext(), getShape(), getFormat(), packing);
    }
  }];
}

def Transformer_KVCache : Transformer_Type<"KVCache", "kv_cache"> {
  let summary = "paged cache of keys and values for a group of equal layers";
  let description = [{
    Keys and values of `layers` layers that share the number of key-value heads, the head dimension and the format.
    A page holds `page` consecutive tokens of one sequence, for every layer of the group.

    `format` is f32, f16, or an integer type of n = 8 or 4 bits; values may have another integer type, `values`, than keys,
    whose errors stand in the exponent of a softmax. Integers are codes: consecutive channels of a head of a
    token form groups (of 32 where that divides the head, of i4 its half; else one, of i4 two) with a scale each. With e
    the number of largest magnitude in the group, the positive one of two:

        scale = f16(e / -2^(n-1))    code = clamp(round(x / scale), -2^(n-1), 2^(n-1) - 1), halves to even

    and the number is code * scale; all codes are 0 where the scale is. So what is stored of a token depends on the token alone.

    ```mlir
    !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = f16, page = 16>
    !transformer.kv_cache<layers = 30, heads = 3, dim = 64, format = i8, page = 16, values = i4>
    ```
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$heads, "int64_t":$dim, "::mlir::Type":$format, "int64_t":$page,
                        OptionalParameter<"::mlir::Type">:$values);
  let builders = [TypeBuilder<(ins "int64_t":$layers, "int64_t":$heads, "int64_t":$dim, "::mlir::Type":$format,
                                   "int64_t":$page), [{
    return $_get($_ctxt, layers, heads, dim, format, page, ::mlir::Type());
  }]>];
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The names of all formats, as users give them.
    static constexpr ::llvm::StringLiteral formatNames = "f16 f32 q8_0 k8v4 q4_0";
    /// The formats of keys and values of that name, or null.
    static ::std::pair<::mlir::Type, ::mlir::Type> lookupFormats(::mlir::MLIRContext *context, ::llvm::StringRef name);
    /// Whether numbers are codes with scales.
    bool isQuantized() const { return ::llvm::isa<::mlir::IntegerType>(getFormat()); }
    /// Of keys, or of values.
    ::mlir::Type getFormat(bool isKey) const { return isKey || !getValues() ? getFormat() : getValues(); }
    unsigned getBits(bool isKey) const { return getFormat(isKey).getIntOrFloatBitWidth(); }
    /// Channels of a head that share a scale; all where there is none.
    int64_t getGroupChannels(bool isKey) const;
    int64_t getGroups(bool isKey) const { return getDim() / getGroupChannels(isKey); }
    /// Bytes of a head of a token, without and of its scales.
    int64_t getHeadBytes(bool isKey) const { return getDim() * getBits(isKey) / 8; }
    int64_t getScaleBytes(bool isKey) const { return isQuantized() ? 2 * getGroups(isKey) : 0; }
  }];
}

def Transformer_Ragged : Transformer_Type<"Ragged", "ragged"> {
  let summary = "which sequence and position each of a packed batch's tokens has";
  let description = [{
    Describes T packed tokens of any number of sequences: for each token its position and its sequence, and for each
    sequence its pages. Tokens of one sequence are consecutive and in the order of their positions.
  }];
}

//===----------------------------------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------------------------------===//

class Transformer_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::ingot::transformer";
  let genSpecializedAttr = 0;
}
class Transformer_EnumAttr<I32EnumAttr base, string mnemonic> : EnumAttr<TransformerDialect, base, mnemonic> {
  let assemblyFormat = "$value";
}

def Transformer_NormKind : Transformer_Enum<"NormKind", "which statistic a norm divides by", [
  I32EnumAttrCase<"Rms", 0, "rms">, I32EnumAttrCase<"Layer", 1, "layer">]>;
def Transformer_NormKindAttr : Transformer_EnumAttr<Transformer_NormKind, "norm_kind">;

def Transformer_ActivationKind : Transformer_Enum<"ActivationKind", "elementwise activation function", [
  I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"Gelu", 1, "gelu">,
  I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">, I32EnumAttrCase<"Relu", 3, "relu">]>;
def Transformer_ActivationKindAttr : Transformer_EnumAttr<Transformer_ActivationKind, "activation_kind">;

def Transformer_RopeLayout : Transformer_Enum<"RopeLayout", "which channels of a head rotate together", [
  I32EnumAttrCase<"Interleaved", 0, "interleaved">, I32EnumAttrCase<"Half", 1, "half">]>;
def Transformer_RopeLayoutAttr : Transformer_EnumAttr<Transformer_RopeLayout, "rope_layout">;

def Transformer_TokenMixing : Transformer_Enum<"TokenMixing", "how an op lets tokens see each other", [
  I32EnumAttrCase<"RowWise", 0, "row_wise">, I32EnumAttrCase<"Attention", 1, "attention">,
  I32EnumAttrCase<"Pooling", 2, "pooling">, I32EnumAttrCase<"LastToken", 3, "last_token">,
  I32EnumAttrCase<"Unknown", 4, "unknown">]>;

/// Each row (token) of the result depends on the same row of the operands only.
def RowWise : DeclareOpInterfaceMethods<TokenMixingOpInterface>;

class Transformer_Op<string mnemonic, list<Trait> traits = []> : Op<TransformerDialect, mnemonic, traits>;

def F32RankedTensor : RankedTensorOf<[F32]>;
def IdTensor : RankedTensorOf<[I32]>;

#endif // INGOT_TRANSFORMER_TYPES
