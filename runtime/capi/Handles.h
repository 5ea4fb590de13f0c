//===- Handles.h - What stands behind the handles of the C interface --------------------------------===//
//
// A handle owns a share of what it needs, so that handles may be closed in any order: a
// conversation keeps its session, a session its model, a model its device and artifact.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CAPI_HANDLES_H
#define INGOT_RUNTIME_CAPI_HANDLES_H

#include "ingot-c/Runtime.h"
#include "runtime/core/Generator.h"

#include <algorithm>
#include <cstring>
#include <optional>

struct IngotError {
  std::string message;
};

struct IngotArtifact {
  std::shared_ptr<const ingot::runtime::Artifact> artifact;
  std::shared_ptr<const ingot::runtime::Tokenizer> tokenizer; ///< null where the file has none
  std::string card;
  std::vector<std::string> sectionTargets; ///< zero-terminated
};

struct IngotModel {
  IngotArtifact artifact;
  std::shared_ptr<ingot::runtime::Device> device;
  std::shared_ptr<const ingot::runtime::Model> model;
  std::string target, description;
};

namespace ingot::runtime::capi {

/// A session and all that must outlive it.
struct SessionState {
  std::shared_ptr<Device> device;
  std::shared_ptr<const Model> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<Session> session;
  std::vector<std::string> names; ///< kernel, family and layer of each command, zero-terminated
};

inline IngotError *makeError(std::string message) { return new IngotError{std::move(message)}; }
inline IngotError *makeError(const Status &status) {
  return status.ok() ? nullptr : makeError(status.message());
}

/// The caller's options over the defaults; what an older header did not have keeps its default.
template <typename Options> Options readOptions(const Options *given, Options defaults) {
  if (given)
    std::memcpy(&defaults, given, std::min(given->size, sizeof(Options)));
  return defaults;
}

/// For `free`: what a C program holds must not need C++ to be given back.
IngotString copyText(std::string_view text);

} // namespace ingot::runtime::capi

struct IngotSession {
  std::shared_ptr<ingot::runtime::capi::SessionState> state;
};

struct IngotConversation {
  std::shared_ptr<ingot::runtime::capi::SessionState> state;
  std::unique_ptr<ingot::runtime::Generator> generator;
  std::atomic<bool> cancel = false;
};

#endif // INGOT_RUNTIME_CAPI_HANDLES_H
