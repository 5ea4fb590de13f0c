//===- Status.h - Errors as values ------------------------------------------------------------===//
//
// The runtime has no exceptions. A function that can fail returns `Status`, or `Result<T>` when it
// makes something. An error is one sentence, lower case, without a period, that names the thing,
// its value and the limit:
//
//   Result<Artifact> opened = Artifact::open(path);
//   if (!opened)
//     return opened.takeStatus();
//   Artifact artifact = std::move(*opened);
//
// Both are [[nodiscard]]; a success costs one null pointer.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_STATUS_H
#define INGOT_RUNTIME_CORE_STATUS_H

#include <cassert>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace ingot::runtime {

/// Success, or a sentence that says what went wrong.
class [[nodiscard]] Status {
public:
  Status() = default;
  static Status success() { return Status(); }
  static Status error(std::string message) {
    Status status;
    status.text = std::make_unique<std::string>(std::move(message));
    return status;
  }

  bool ok() const { return !text; }
  explicit operator bool() const { return ok(); }

  /// The sentence; empty after success.
  const std::string &message() const {
    static const std::string none;
    return text ? *text : none;
  }

  /// The same error with "context: " in front; success stays success.
  Status withContext(const std::string &context) && {
    if (text)
      text->insert(0, context + ": ");
    return std::move(*this);
  }

private:
  std::unique_ptr<std::string> text;
};

/// A value, or the Status that says why there is none. Test before `*`.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : value(std::move(value)) {}
  Result(Status failure) : error(std::move(failure)) {
    assert(!error.ok() && "a result without a value needs an error");
  }

  bool ok() const { return value.has_value(); }
  explicit operator bool() const { return ok(); }

  T &operator*() & { return *value; }
  const T &operator*() const & { return *value; }
  T &&operator*() && { return std::move(*value); }
  T *operator->() { return &*value; }
  const T *operator->() const { return &*value; }

  const std::string &message() const { return error.message(); }
  Status takeStatus() { return std::move(error); }

private:
  std::optional<T> value;
  Status error;
};

/// Text by a printf format.
[[gnu::format(printf, 1, 2)]] inline std::string formatText(const char *format, ...) {
  va_list list;
  va_start(list, format);
  va_list again;
  va_copy(again, list);
  int length = std::vsnprintf(nullptr, 0, format, list);
  va_end(list);
  std::string text(length > 0 ? length : 0, '\0');
  if (length > 0)
    std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  return text;
}

} // namespace ingot::runtime

/// An error Status by a printf format: `return INGOT_ERROR("layer %d is past %d", layer, layers);`
#define INGOT_ERROR(...) ::ingot::runtime::Status::error(::ingot::runtime::formatText(__VA_ARGS__))

/// Returns from the enclosing function when `expression` (a Status) is an error.
#define INGOT_RETURN_IF_ERROR(expression)                                                          \
  do {                                                                                             \
    if (::ingot::runtime::Status ingotStatus = (expression); !ingotStatus)                         \
      return ingotStatus;                                                                          \
  } while (false)

#endif // INGOT_RUNTIME_CORE_STATUS_H
