//===- Value.h - What a chat template computes with -------------------------------------------===//
//
// The values of JSON, Python's way: strings are UTF-8 whose length counts characters, dictionaries
// keep their order, and there are two values for nothing, `none` and undefined. Values are
// immutable and shared, so copying one is cheap; a list never contains itself. `Reference` is for
// what the interpreter owns (namespaces, loops, macros) and stays opaque elsewhere.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_VALUE_H
#define INGOT_RUNTIME_CORE_VALUE_H

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ingot::runtime {

class Value {
public:
  enum class Kind : uint8_t {
    Undefined,
    None,
    Boolean,
    Integer,
    Float,
    String,
    List,
    Dictionary,
    Reference,
  };
  using Items = std::vector<Value>;
  using Entry = std::pair<std::string, Value>;
  using Entries = std::vector<Entry>;
  struct Reference {
    enum class Kind : uint8_t { Namespace, Loop, Macro, Function } kind;
    uint32_t index;
    bool operator==(const Reference &) const = default;
  };

  /// Undefined, without a reason.
  Value() = default;
  /// Undefined; `reason` says why where a value is needed: "'x' is undefined".
  static Value undefined(std::string reason);
  static Value none() { return Value(Content(std::in_place_index<1>)); }
  static Value boolean(bool value) { return Value(Content(std::in_place_index<2>, value)); }
  static Value integer(int64_t value) { return Value(Content(std::in_place_index<3>, value)); }
  static Value real(double value) { return Value(Content(std::in_place_index<4>, value)); }
  static Value string(std::string text);
  static Value list(Items items, bool isTuple = false);
  /// Of entries with the same key the last counts, in the place of the first.
  static Value dictionary(Entries entries);
  static Value reference(Reference::Kind kind, uint32_t index) {
    return Value(Content(std::in_place_index<8>, Reference{kind, index}));
  }

  Kind kind() const { return static_cast<Kind>(content.index()); }
  bool isUndefined() const { return kind() == Kind::Undefined; }
  bool isNone() const { return kind() == Kind::None; }
  bool isString() const { return kind() == Kind::String; }
  bool isList() const { return kind() == Kind::List; }
  bool isDictionary() const { return kind() == Kind::Dictionary; }
  /// Python's numbers: booleans are integers.
  bool isInteger() const { return kind() == Kind::Integer || kind() == Kind::Boolean; }
  bool isNumber() const { return isInteger() || kind() == Kind::Float; }
  bool isReference(Reference::Kind which) const {
    return kind() == Kind::Reference && asReference().kind == which;
  }

  // What the kind holds; call only for that kind.
  bool asBoolean() const { return *std::get_if<2>(&content); }
  int64_t asInteger() const;
  double asReal() const;
  const std::string &asString() const { return **std::get_if<5>(&content); }
  const Items &asList() const { return (*std::get_if<6>(&content))->items; }
  bool isTuple() const { return isList() && (*std::get_if<6>(&content))->isTuple; }
  const Entries &asDictionary() const { return (*std::get_if<7>(&content))->entries; }
  Reference asReference() const { return *std::get_if<8>(&content); }
  std::string_view undefinedReason() const;

  /// The entry of a dictionary, null where it has none.
  const Value *find(std::string_view key) const;
  /// How deep lists and dictionaries are nested: 0 for what is neither.
  uint32_t depth() const;
  /// What writing the value out would cost, in values and pieces of 16 bytes. Values are shared, so
  /// this may be far more than the memory that it takes.
  uint64_t weight() const;

  /// Python's truth: nothing, zero and what is empty are false.
  bool isTrue() const;
  /// Python's ==.
  bool operator==(const Value &other) const;
  /// Python's <, none where it is an error.
  std::optional<bool> isLess(const Value &other) const;
  /// "string", "int", "dict", ... for messages.
  std::string_view typeName() const;

  /// Python's str() and repr().
  std::string toText() const;
  std::string toRepresentation() const;
  /// Python's json.dumps(ensure_ascii=False, indent=indent): one line where indent is negative.
  /// None for values that JSON lacks.
  std::optional<std::string> toJson(int indent = -1, bool sortKeys = false) const;

private:
  struct ListData {
    Items items;
    bool isTuple;
    uint32_t depth = 1;
    uint64_t weight = 1;
  };
  struct DictionaryData {
    Entries entries;
    std::vector<uint32_t> order; ///< entries by key
    uint32_t depth = 1;
    uint64_t weight = 1;
  };
  using Content =
      std::variant<std::shared_ptr<const std::string>, std::monostate, bool, int64_t, double,
                   std::shared_ptr<const std::string>, std::shared_ptr<const ListData>,
                   std::shared_ptr<const DictionaryData>, Reference>;
  explicit Value(Content content) : content(std::move(content)) {}
  void appendRepresentation(std::string &text) const;
  bool appendJson(std::string &text, int indent, int level, bool sortKeys) const;

  Content content;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_VALUE_H
