//===- FolderPooling.cpp - How a folder makes one vector of a text ----------------------------===//
//
// Folders of sentence-transformers list the modules that a text goes through in modules.json: the
// transformer, a pooling of its rows with a configuration of its own, perhaps a normalisation.
//
//===------------------------------------------------------------------------------------------===//

#include "HuggingFace.h"
#include "ingot/Import/Json.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace ingot;
using namespace ingot::import;
using llvm::createStringError;
using llvm::StringRef;
namespace json = llvm::json;

namespace {

/// Reads modules.json and the files that it names.
class PoolingReader {
public:
  PoolingReader(StringRef folder, ImportedModel &model) : folder(folder), model(model) {}

  llvm::Error read();

private:
  llvm::Error addModule(const json::Object &module);
  llvm::Error addPooling(StringRef part);
  llvm::Error addLimit();

  StringRef folder;
  ImportedModel &model;
};

} // namespace

/// "a/b" stays in the folder, "/b" and "../b" do not.
static bool staysInside(StringRef part) {
  return !llvm::sys::path::is_absolute(part) &&
         llvm::none_of(llvm::make_range(llvm::sys::path::begin(part), llvm::sys::path::end(part)),
                       [](StringRef step) { return step == ".."; });
}

llvm::Error PoolingReader::addPooling(StringRef part) {
  std::string path = joinPath(joinPath(folder, part), "config.json");
  auto config = readJsonObject(path);
  if (!config)
    return config.takeError();
  model.files.push_back(path);
  static constexpr std::pair<StringRef, StringRef> kinds[] = {{"pooling_mode_mean_tokens", "mean"},
                                                              {"pooling_mode_cls_token", "first"},
                                                              {"pooling_mode_max_tokens", "max"}};
  StringRef chosen;
  for (auto &[key, value] : *config) {
    if (!StringRef(key).starts_with("pooling_mode_") || !value.getAsBoolean().value_or(false))
      continue;
    auto *kind = llvm::find_if(kinds, [&](auto &kind) { return kind.first == StringRef(key); });
    if (kind == std::end(kinds))
      return createStringError(path + ": '" + StringRef(key) + "' is not supported");
    if (!chosen.empty())
      return createStringError(path + ": several poolings side by side are not supported");
    chosen = kind->second;
  }
  if (chosen.empty())
    return createStringError(path + ": no 'pooling_mode_' is chosen");
  model.embedding["pooling"] = chosen;
  return llvm::Error::success();
}

llvm::Error PoolingReader::addModule(const json::Object &module) {
  std::string list = joinPath(folder, "modules.json");
  StringRef type = module.getString("type").value_or(""),
            part = module.getString("path").value_or("");
  if (!staysInside(part))
    return createStringError(list + ": path " + quoteName(part) + " leaves the folder");
  StringRef kind = type.rsplit('.').second;
  if (kind == "Pooling")
    return addPooling(part);
  if (kind == "Normalize")
    model.embedding["normalize"] = true;
  else if (kind != "Transformer")
    return createStringError(list + ": module " + quoteName(type) + " is not supported");
  else if (!part.empty())
    return createStringError(list + ": the transformer is in the folder " + quoteName(part) +
                             ", expected it beside modules.json");
  return llvm::Error::success();
}

/// Texts are cut to so many tokens.
llvm::Error PoolingReader::addLimit() {
  std::string path = joinPath(folder, "sentence_bert_config.json");
  if (!llvm::sys::fs::exists(path))
    return llvm::Error::success();
  auto config = readJsonObject(path);
  if (!config)
    return config.takeError();
  model.files.push_back(path);
  auto *value = config->get("max_seq_length");
  if (!value || value->getAsNull())
    return llvm::Error::success();
  auto count = value->getAsInteger();
  if (!count || *count < 1)
    return createStringError(path + ": expected 'max_seq_length' to be a positive number");
  model.embedding["max_tokens"] = *count;
  return llvm::Error::success();
}

llvm::Error PoolingReader::read() {
  std::string path = joinPath(folder, "modules.json");
  if (!llvm::sys::fs::exists(path))
    return llvm::Error::success();
  auto buffer = openFile(path);
  if (!buffer)
    return buffer.takeError();
  auto parsed = parseJson((*buffer)->getBuffer(), path);
  if (!parsed)
    return parsed.takeError();
  model.files.push_back(path);
  auto *modules = parsed->getAsArray();
  if (!modules)
    return createStringError(path + ": expected a list, got " + getTypeName(*parsed));
  for (const json::Value &module : *modules) {
    auto *object = module.getAsObject();
    if (!object)
      return createStringError(path + ": expected a list of objects, got " + getTypeName(module));
    if (llvm::Error error = addModule(*object))
      return error;
  }
  return addLimit();
}

llvm::Error import::readFolderPooling(StringRef folder, ImportedModel &model) {
  return PoolingReader(folder, model).read();
}
