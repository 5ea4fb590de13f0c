//===- Topology.cpp - How many workers, and where ---------------------------------------------===//
//
// Decoding is bound by memory bandwidth, so that a second thread of a core adds nothing: one worker
// a core. The affinity mask says which CPUs may be used, the control group how much time on them.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cpu/WorkerPool.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <map>
#include <sched.h>
#include <set>

using namespace ingot::runtime;

namespace {

/// The first `size - 1` bytes of a small file of the system; empty when there is none.
std::string readSmallFile(const std::string &path) {
  char buffer[4096];
  std::FILE *file = std::fopen(path.c_str(), "re");
  if (!file)
    return {};
  size_t length = std::fread(buffer, 1, sizeof(buffer), file);
  std::fclose(file);
  return {buffer, length};
}

/// The smaller of two quotas, where 0 means none.
double tighten(double quota, double other) {
  return other <= 0 ? quota : quota <= 0 ? other : std::min(quota, other);
}

/// cgroup v2: "max 100000" or "150000 100000".
double parseCpuMax(const std::string &text) {
  double quota = 0, period = 0;
  return std::sscanf(text.c_str(), "%lf %lf", &quota, &period) == 2 && period > 0 ? quota / period
                                                                                  : 0;
}

/// The path of this process in the hierarchy that `matches`, from lines like "0::/user.slice" and
/// "4:cpu,cpuacct:/x".
std::string findGroup(const std::string &groups, bool unified) {
  for (size_t begin = 0; begin < groups.size();) {
    size_t end = std::min(groups.find('\n', begin), groups.size());
    std::string line = groups.substr(begin, end - begin);
    begin = end + 1;
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos)
      continue;
    std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (unified ? controllers == ",," : controllers.find(",cpu,") != std::string::npos)
      return line.substr(second + 1);
  }
  return "/";
}

/// The memory node of a CPU, of whose folder an entry is named "node1"; 0 where it has none.
unsigned findNode(const std::string &folder) {
  unsigned node = 0;
  if (DIR *entries = opendir(folder.c_str())) {
    while (dirent *entry = readdir(entries))
      if (std::sscanf(entry->d_name, "node%u", &node) == 1)
        break;
    closedir(entries);
  }
  return node;
}

} // namespace

std::vector<unsigned> cpu::orderCpus(const std::vector<unsigned> &cpus, const std::string &folder,
                                     unsigned *coreCount) {
  // By whether it is the first of its core, by its place in its node, by node.
  struct Place {
    bool isSibling;
    size_t number;
    unsigned node, cpu;
    auto operator<=>(const Place &) const = default;
  };
  std::vector<Place> places;
  std::set<std::string> cores;
  std::map<std::pair<bool, unsigned>, size_t> counts;
  for (unsigned cpu : cpus) {
    std::string home = folder + "/cpu" + std::to_string(cpu);
    std::string core = readSmallFile(home + "/topology/thread_siblings_list");
    bool isSibling = !core.empty() && !cores.insert(core).second;
    unsigned node = findNode(home);
    places.push_back({isSibling, counts[{isSibling, node}]++, node, cpu});
  }
  std::sort(places.begin(), places.end());
  if (coreCount)
    *coreCount = std::count_if(places.begin(), places.end(),
                               [](const Place &place) { return !place.isSibling; });
  std::vector<unsigned> ordered;
  for (const Place &place : places)
    ordered.push_back(place.cpu);
  return ordered;
}

std::vector<unsigned> cpu::listUsableCpus(unsigned *coreCount) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0)
    CPU_SET(0, &mask);
  std::vector<unsigned> usable;
  for (unsigned i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &mask))
      usable.push_back(i);
  return orderCpus(usable, "/sys/devices/system/cpu", coreCount);
}

uint64_t cpu::readAvailableMemory() {
  unsigned long long kilobytes = 0;
  std::string system = readSmallFile("/proc/meminfo");
  if (size_t line = system.find("MemAvailable:"); line != std::string::npos)
    std::sscanf(system.c_str() + line, "MemAvailable: %llu", &kilobytes);
  uint64_t available = kilobytes * 1024;
  std::string groups = readSmallFile("/proc/self/cgroup");
  for (std::string path = findGroup(groups, /*unified=*/true);; path.resize(path.rfind('/'))) {
    unsigned long long limit, used; // a group without a limit says "max"
    if (std::sscanf(readSmallFile("/sys/fs/cgroup" + path + "/memory.max").c_str(), "%llu",
                    &limit) == 1 &&
        std::sscanf(readSmallFile("/sys/fs/cgroup" + path + "/memory.current").c_str(), "%llu",
                    &used) == 1)
      available = std::min<uint64_t>(available, limit > used ? limit - used : 0);
    if (path.rfind('/') == std::string::npos)
      return available;
  }
}

double cpu::readCgroupQuota() {
  std::string groups = readSmallFile("/proc/self/cgroup");
  double quota = 0;
  // Every group on the way to the root may limit. In a container the root is the container's own
  // group.
  for (std::string path = findGroup(groups, /*unified=*/true);; path.resize(path.rfind('/'))) {
    quota = tighten(quota, parseCpuMax(readSmallFile("/sys/fs/cgroup" + path + "/cpu.max")));
    if (path.rfind('/') == std::string::npos)
      break;
  }
  for (const std::string &path : {findGroup(groups, /*unified=*/false), std::string("/")}) {
    std::string folder = "/sys/fs/cgroup/cpu" + path;
    quota = tighten(quota, parseCpuMax(readSmallFile(folder + "/cpu.cfs_quota_us") + " " +
                                       readSmallFile(folder + "/cpu.cfs_period_us")));
  }
  return quota;
}

unsigned cpu::chooseThreadCount() {
  unsigned cores = 1;
  listUsableCpus(&cores);
  double quota = readCgroupQuota();
  if (quota > 0)
    cores = std::min(cores, unsigned(quota));
  return std::max(cores, 1u);
}
