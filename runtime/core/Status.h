//===- Status.h - Success, or one sentence that says why not
//-------------------------------------===//
//
// The runtime has no exceptions: what can fail returns a `Status`, or a `Result<T>` when it also
// has a value. A message is one sentence, lower case at its start, without a period, that names the
// thing, the value and the limit; callers add context in front with `withContext`.
//
//   Result<Reader> reader = Reader::open(path);
//   if (!reader)
//     return reader.status().withContext(path);
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_STATUS_H
#define INGOT_RUNTIME_CORE_STATUS_H

#include <cassert>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace ingot::runtime {

class [[nodiscard]] Status {
public:
  /// Success.
  Status() = default;
  static Status success() { return Status(); }
  static Status failure(std::string message) {
    Status status;
    status.text = std::make_unique<std::string>(std::move(message));
    return status;
  }
  Status(Status &&) = default;
  Status &operator=(Status &&) = default;
  Status(const Status &other) : text(other.text ? new std::string(*other.text) : nullptr) {}
  Status &operator=(const Status &other) { return *this = Status(other); }

  bool isOk() const { return !text; }
  explicit operator bool() const { return isOk(); }
  /// Empty on success.
  std::string_view message() const { return text ? std::string_view(*text) : std::string_view(); }

  /// The same failure with `context: ` in front; success stays success.
  Status withContext(std::string_view context) const {
    return isOk() ? Status() : failure(std::string(context) + ": " + *text);
  }

private:
  std::unique_ptr<std::string> text;
};

template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::in_place_index<0>, std::move(value)) {}
  Result(Status failure) : content(std::in_place_index<1>, std::move(failure)) {
    assert(!std::get_if<1>(&content)->isOk() && "a result without a value needs a failure");
  }

  bool isOk() const { return content.index() == 0; }
  explicit operator bool() const { return isOk(); }
  T &operator*() & { return *std::get_if<0>(&content); }
  const T &operator*() const & { return *std::get_if<0>(&content); }
  T &&operator*() && { return std::move(*std::get_if<0>(&content)); }
  T *operator->() { return std::get_if<0>(&content); }
  const T *operator->() const { return std::get_if<0>(&content); }
  /// The failure, or success.
  Status status() const { return isOk() ? Status() : *std::get_if<1>(&content); }
  std::string_view message() const {
    return isOk() ? std::string_view() : std::get_if<1>(&content)->message();
  }

private:
  std::variant<T, Status> content;
};

/// Joins pieces of text and numbers into a failure: fail("section ", i, " ends past the file").
template <typename... Parts> Status fail(const Parts &...parts) {
  std::string message;
  auto append = [&message](const auto &part) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(part)>>)
      message += std::to_string(part);
    else
      message += part;
  };
  (append(parts), ...);
  return Status::failure(std::move(message));
}

} // namespace ingot::runtime

/// Leaves the enclosing function with the failure of `expression`, a Status, if it is one.
#define INGOT_RETURN_IF_FAILED(expression)                                                         \
  do {                                                                                             \
    if (::ingot::runtime::Status ingotStatus = (expression); !ingotStatus)                         \
      return ingotStatus;                                                                          \
  } while (false)

#endif // INGOT_RUNTIME_CORE_STATUS_H
