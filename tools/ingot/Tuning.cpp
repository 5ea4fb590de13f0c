//===- Tuning.cpp - What was measured of this machine -------------------------------------------===//
//
// A machine is known by the name of its processor and the number of threads; its tuning lies in the
// cache directory under a hash of that. A compilation for CPUs takes the file where it is there.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <algorithm>
#include <fstream>
#include <thread>

using namespace ingot::driver;
namespace fs = std::filesystem;

std::string ingot::driver::describeMachine(unsigned threads) {
  std::ifstream file("/proc/cpuinfo");
  std::string line, name = "a processor without a name";
  while (std::getline(file, line))
    if (size_t colon = line.find(": "); line.starts_with("model name") && colon != line.npos) {
      name = line.substr(colon + 2);
      break;
    }
  unsigned count = threads ? threads : std::max(1u, std::thread::hardware_concurrency());
  return name.substr(0, 200) + ", " + std::to_string(count) + " threads";
}

std::string ingot::driver::findTuningFile(unsigned threads) {
  auto directory = findCacheDirectory();
  if (!directory)
    return "";
  return (*directory / ("tuning-" + hashText(describeMachine(threads)) + ".json")).string();
}

std::string ingot::driver::chooseTuning(const CompileSettings &settings) {
  if (!settings.tuning.empty())
    return settings.tuning == "none" ? "" : settings.tuning;
  auto isForGpu = [](const std::string &target) { return target.starts_with("cuda:"); };
  if (std::any_of(settings.targets.begin(), settings.targets.end(), isForGpu))
    return "";
  std::string path = findTuningFile(settings.threads);
  std::error_code error;
  return fs::exists(path, error) ? path : "";
}
