//===- Common.cpp - What several commands need ------------------------------------------------===//
//
// Errors, files, tokens, and the MODEL argument with its cache of compiled sources.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace ingot::driver;
namespace fs = std::filesystem;

void ingot::driver::check(IngotError *error) {
  if (!error)
    return;
  std::string message = ingotErrorMessage(error);
  ingotErrorFree(error);
  throw Failure(message);
}

std::string ingot::driver::readFile(const std::string &path) {
  if (path == "-")
    return {std::istreambuf_iterator<char>(std::cin), {}};
  std::error_code error;
  if (fs::is_directory(path, error))
    throw Failure("cannot read " + path + ": it is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Failure("cannot open " + path + ": " + std::strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<int32_t> ingot::driver::readTokens(const std::string &path) {
  std::string text = readFile(path);
  std::vector<int32_t> tokens;
  const char *at = text.data(), *end = at + text.size();
  while (at != end) {
    if (std::isspace(static_cast<unsigned char>(*at))) {
      ++at;
      continue;
    }
    char *behind = nullptr;
    errno = 0;
    long value = std::strtol(at, &behind, 10);
    if (behind == at || errno || value < 0 || value > INT32_MAX ||
        (behind != end && !std::isspace(static_cast<unsigned char>(*behind))))
      throw Failure(path + " has no token id at byte " + std::to_string(at - text.data()) +
                    ": expected a number from 0 to 2147483647");
    tokens.push_back(int32_t(value));
    at = behind;
  }
  return tokens;
}

std::vector<int32_t> ingot::driver::tokenize(const IngotArtifact *artifact, const std::string &text,
                                             bool addSpecial, bool parseSpecial) {
  IngotTokens tokens;
  check(ingotTokenize(artifact, text.data(), text.size(), addSpecial, parseSpecial, &tokens));
  std::vector<int32_t> result(tokens.data, tokens.data + tokens.count);
  ingotTokensFree(tokens);
  return result;
}

bool ingot::driver::isEncoder(const IngotLimits &limits) {
  return limits.outputWidth < limits.inputVocabulary;
}

void ingot::driver::refuseEncoder(const IngotLimits &limits, const char *command) {
  if (isEncoder(limits))
    throw Failure(std::string("`") + command +
                  "` is for models that generate text, and this is an encoder: see `ingot embed`");
}

Handle<IngotSession> ingot::driver::createSession(const IngotModel *model, bool profile) {
  IngotSessionOptions options = INGOT_SESSION_OPTIONS_INIT;
  options.profile = profile;
  IngotSession *session = nullptr;
  check(ingotSessionCreate(model, &options, &session));
  return Handle<IngotSession>(session);
}

//===------------------------------------------------------------------------------------------===//
// MODEL
//===------------------------------------------------------------------------------------------===//

void ModelArgument::add(CLI::App &app) {
  app.add_option("model", path, ".ingot file, or checkpoint to compile into the cache first")
      ->required()
      ->type_name("MODEL");
  app.add_option("--device", device, "cpu or cuda:N (default: what the model was compiled for)");
  addCompileSettings(app, settings);
}

std::optional<fs::path> ingot::driver::findCacheDirectory() {
  if (const char *directory = std::getenv("XDG_CACHE_HOME"); directory && *directory)
    return fs::path(directory) / "ingot";
  if (const char *home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".cache" / "ingot";
  return std::nullopt;
}

static fs::path cacheDirectory() {
  if (auto directory = findCacheDirectory())
    return *directory;
  throw Failure(
      "there is no cache directory: set HOME or XDG_CACHE_HOME, or compile with `ingot compile`");
}

/// Size and time of a file, or of all files of a folder.
static std::string describeFiles(const std::string &source) {
  struct stat status;
  if (stat(source.c_str(), &status) != 0)
    throw Failure("cannot open " + source + ": " + std::strerror(errno));
  std::string text = std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) +
                     '.' + std::to_string(status.st_mtim.tv_nsec);
  if (!S_ISDIR(status.st_mode))
    return text;
  std::vector<std::string> files;
  std::error_code error;
  for (const auto &file : fs::directory_iterator(source, error))
    if (file.is_regular_file(error))
      files.push_back(file.path().filename().string() + ' ' + describeFiles(file.path().string()));
  std::sort(files.begin(), files.end());
  for (const std::string &file : files)
    text += '\n' + file;
  return text;
}

std::string ingot::driver::hashText(const std::string &text) {
  uint64_t hash = 0xcbf29ce484222325; // FNV-1a, 64 bits
  for (unsigned char byte : text)
    hash = (hash ^ byte) * 0x100000001b3;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

/// What names a compiled source in the cache: the file as it is now and how it is compiled.
static std::string cacheName(const std::string &source, const CompileSettings &settings) {
  std::string tuning = chooseTuning(settings);
  std::string key = fs::absolute(source).lexically_normal().string() + '\n' +
                    describeFiles(source) + '\n' + INGOT_VERSION + ' ' +
                    std::to_string(settings.maxContext) + ' ' + std::to_string(settings.maxBatch) +
                    ' ' + std::to_string(settings.maxStepTokens) + ' ' + settings.kvFormat + ' ' +
                    settings.activations + ' ' + settings.weights + ' ' + settings.weightFormat +
                    ' ' + settings.schedule + ' ' + tuning +
                    (tuning.empty() ? "" : ' ' + describeFiles(tuning));
  if (!settings.adapter.empty())
    key += '\n' + fs::absolute(settings.adapter).lexically_normal().string() + '\n' +
           describeFiles(settings.adapter);
  for (const std::string &target : settings.targets)
    key += ' ' + target;
  fs::path named = fs::absolute(source).lexically_normal();
  return (named.has_filename() ? named : named.parent_path()).stem().string() + "-" +
         hashText(key) + ".ingot";
}

std::string ingot::driver::makeCacheDirectory(const std::string &name) {
  fs::path directory = cacheDirectory() / name;
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    throw Failure("cannot make the cache directory " + directory.string() + ": " + error.message());
  return directory.string();
}

std::string ModelArgument::resolve() const {
  if (fs::path(path).extension() == ".ingot")
    return path;
  return resolveIn(makeCacheDirectory(""));
}

std::string ModelArgument::resolveIn(const std::string &folder) const {
  fs::path file = fs::path(folder) / cacheName(path, settings);
  std::error_code error;
  if (!fs::exists(file, error))
    compile(settings, path, file.string(), "");
  return file.string();
}

Handle<IngotModel> ModelArgument::open(const IngotModel *deviceOf) const {
  IngotModelOptions options = INGOT_MODEL_OPTIONS_INIT;
  options.deviceOf = deviceOf;
  options.threads = settings.threads;
  options.device = device.empty() ? nullptr : device.c_str();
  std::string kept = findCacheDirectory().value_or("").string();
  if (!kept.empty())
    options.cacheDirectory = (kept += "/cuda").c_str();
  IngotModel *model = nullptr;
  check(ingotModelOpen(resolve().c_str(), &options, &model));
  return Handle<IngotModel>(model);
}
