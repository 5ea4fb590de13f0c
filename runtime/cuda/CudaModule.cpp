//===- CudaModule.cpp - The code of an artefact on a GPU --------------------------------------===//

#include "runtime/cuda/CudaModule.h"
#include "runtime/cuda/CodeCache.h"

using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

Result<std::unique_ptr<CudaModule>> CudaModule::load(ContextRef context, Bytes section,
                                                     const std::string &cacheDirectory) {
  Result<CudaCode> code = readCudaCode(section);
  if (!code)
    return code.takeStatus();
  INGOT_RETURN_IF_ERROR(context->use());
  std::unique_ptr<CudaModule> module(new CudaModule(std::move(context)));
  if (cubinFits(*code, module->context->getProperties()))
    INGOT_RETURN_IF_ERROR(module->loadCubin(*code));
  else
    INGOT_RETURN_IF_ERROR(module->loadPtx(*code, cacheDirectory));
  return module;
}

Result<std::unique_ptr<CudaModule>> CudaModule::loadText(ContextRef context,
                                                         const std::string &ptx) {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  std::unique_ptr<CudaModule> module(new CudaModule(std::move(context)));
  INGOT_RETURN_IF_ERROR(driver.check(driver.loadModule(&module->module, ptx.c_str()),
                                     "cannot load the runtime's own kernels"));
  return module;
}

CudaModule::~CudaModule() {
  if (module && context->tryUse())
    context->getDriver().unloadModule(module);
}

Status CudaModule::loadCubin(const CudaCode &code) {
  const Driver &driver = context->getDriver();
  return driver.check(driver.loadModule(&module, code.cubin.data()),
                      "cannot load the kernels' machine code");
}

Status CudaModule::loadPtx(const CudaCode &code, const std::string &cacheDirectory) {
  const Driver &driver = context->getDriver();
  if (code.ptx.empty())
    return INGOT_ERROR("there is no PTX, and the machine code is for compute capability %s",
                       printCapability(code.capability).c_str());
  CodeCache cache(cacheDirectory, {computeChecksum(code.ptx), context->getProperties().capability,
                                   uint64_t(driver.version)});
  // A file of the cache that the driver does not take is made again.
  std::vector<std::byte> cubin = cache.read();
  if (!cubin.empty() && driver.loadModule(&module, cubin.data()) == codeSuccess)
    return Status::success();
  Result<std::vector<std::byte>> compiled = compilePtx(code);
  if (!compiled)
    return compiled.takeStatus();
  INGOT_RETURN_IF_ERROR(driver.check(driver.loadModule(&module, compiled->data()),
                                     "cannot load the kernels that the driver compiled"));
  cache.write(*compiled);
  return Status::success();
}

Result<std::vector<std::byte>> CudaModule::compilePtx(const CudaCode &code) const {
  const Driver &driver = context->getDriver();
  char log[4096] = {};
  int options[] = {linkErrorLog, linkErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log - 1)};
  Linker linker = nullptr;
  INGOT_RETURN_IF_ERROR(driver.check(driver.createLinker(2, options, values, &linker),
                                     "cannot start the driver's PTX compiler"));
  void *cubin = nullptr;
  size_t bytes = 0;
  Code failure = driver.addLinkInput(linker, linkInputPtx, const_cast<std::byte *>(code.ptx.data()),
                                     code.ptx.size(), "kernels.ptx", 0, nullptr, nullptr);
  if (!failure)
    failure = driver.completeLink(linker, &cubin, &bytes);
  std::vector<std::byte> result;
  if (!failure) {
    auto *begin = static_cast<const std::byte *>(cubin); // the linker's until it is destroyed
    result.assign(begin, begin + bytes);
  }
  driver.destroyLinker(linker);
  if (!failure)
    return result;
  if (failure == codePtxTooNew)
    return INGOT_ERROR("the NVIDIA driver, for CUDA %s, is too old for PTX %u.%u: update it, or "
                       "compile the model where ptxas is installed",
                       printVersion(driver.version).c_str(), code.ptxVersion / 10,
                       code.ptxVersion % 10);
  // The log of several lines becomes part of one sentence.
  std::string said = log;
  while (!said.empty() && (said.back() == '\n' || said.back() == ' '))
    said.pop_back();
  for (size_t at; (at = said.find('\n')) != std::string::npos;)
    said.replace(at, 1, "; ");
  Status status = driver.describe(failure, "the driver cannot compile the kernels' PTX");
  return said.empty() ? std::move(status) : Status::error(status.message() + ": " + said);
}

Result<Kernel> CudaModule::findKernel(std::string_view symbol, const KernelShape &shape) const {
  const Driver &driver = context->getDriver();
  INGOT_RETURN_IF_ERROR(context->use());
  std::string name(symbol);
  Function function = nullptr;
  Code code = name.find('\0') == std::string::npos
                  ? driver.getFunction(&function, module, name.c_str())
                  : Code(codeNotFound);
  if (code == codeNotFound)
    return INGOT_ERROR("the code has no kernel '%s'", name.c_str());
  std::string action = "cannot load kernel '" + name + "'";
  INGOT_RETURN_IF_ERROR(driver.check(code, action.c_str()));
  if (shape.sharedBytes > context->getProperties().sharedBytesOfBlock)
    return INGOT_ERROR("kernel '%s' needs %u bytes of shared memory, this GPU has %u for a block",
                       name.c_str(), shape.sharedBytes,
                       context->getProperties().sharedBytesOfBlock);
  constexpr uint32_t withoutAsking = 48 << 10;
  if (shape.sharedBytes > withoutAsking)
    INGOT_RETURN_IF_ERROR(driver.check(
        driver.setFunctionAttribute(function, functionDynamicSharedBytes, int(shape.sharedBytes)),
        action.c_str()));
  std::lock_guard lock(mutex);
  kernels.push_back({function, shape});
  return Kernel(&kernels.back());
}
