//===- Disassemble.cpp - Kernel code of an artefact as assembly -------------------------------------------===//
//
// Only to be looked at. The object may come from anywhere: what LLVM cannot read is an error, bytes
// that are no instruction are printed as bytes.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Cpu.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDisassembler/MCDisassembler.h"
#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstPrinter.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/MCTargetOptions.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Triple.h"

using namespace ingot;

namespace {

struct Function {
  llvm::StringRef name;
  uint64_t address;
  llvm::ArrayRef<uint8_t> code;
};

/// LLVM's parts of a disassembler for x86-64.
class Disassembler {
public:
  static llvm::Expected<std::unique_ptr<Disassembler>> create();
  void print(const Function &function, llvm::raw_ostream &os);

private:
  llvm::Triple triple{"x86_64-unknown-linux-gnu"};
  std::unique_ptr<llvm::MCRegisterInfo> registers;
  std::unique_ptr<llvm::MCAsmInfo> syntax;
  std::unique_ptr<llvm::MCSubtargetInfo> processor;
  std::unique_ptr<llvm::MCInstrInfo> instructions;
  std::unique_ptr<llvm::MCContext> context;
  std::unique_ptr<llvm::MCDisassembler> reader;
  std::unique_ptr<llvm::MCInstPrinter> printer;
};

} // namespace

llvm::Expected<std::unique_ptr<Disassembler>> Disassembler::create() {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetDisassembler();
  auto made = std::make_unique<Disassembler>();
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(made->triple, error);
  if (!target)
    return llvm::createStringError("LLVM has no disassembler for x86-64: " + error);
  made->registers.reset(target->createMCRegInfo(made->triple));
  made->syntax.reset(
      target->createMCAsmInfo(*made->registers, made->triple, llvm::MCTargetOptions()));
  made->processor.reset(target->createMCSubtargetInfo(made->triple, "x86-64-v4", ""));
  made->instructions.reset(target->createMCInstrInfo());
  made->context = std::make_unique<llvm::MCContext>(made->triple, made->syntax.get(),
                                                    made->registers.get(), made->processor.get());
  made->reader.reset(target->createMCDisassembler(*made->processor, *made->context));
  made->printer.reset(target->createMCInstPrinter(made->triple, made->syntax->getAssemblerDialect(),
                                                  *made->syntax, *made->instructions,
                                                  *made->registers));
  if (!made->reader || !made->printer)
    return llvm::createStringError("LLVM has no disassembler for x86-64");
  made->printer->setPrintBranchImmAsAddress(true);
  return made;
}

void Disassembler::print(const Function &function, llvm::raw_ostream &os) {
  os << function.name << ":  // " << function.code.size() << " bytes\n";
  for (uint64_t at = 0; at < function.code.size();) {
    llvm::MCInst instruction;
    uint64_t length = 0, address = function.address + at;
    os << llvm::formatv("{0,8:x-}:", address);
    if (reader->getInstruction(instruction, length, function.code.drop_front(at), address,
                               llvm::nulls()) == llvm::MCDisassembler::Success) {
      printer->printInst(&instruction, address, "", *processor, os);
      os << '\n';
    } else {
      length = std::max<uint64_t>(length, 1);
      os << "\t.byte\t" << llvm::toHex(function.code.slice(at).take_front(length)) << '\n';
    }
    at += length;
  }
}

/// The functions of the object's symbols, by address.
static llvm::Expected<std::vector<Function>>
findFunctions(const llvm::object::ELFObjectFileBase &object) {
  std::vector<Function> functions;
  for (llvm::object::ELFSymbolRef symbol : object.getDynamicSymbolIterators()) {
    llvm::Expected<llvm::object::SymbolRef::Type> type = symbol.getType();
    if (!type)
      return type.takeError();
    if (*type != llvm::object::SymbolRef::ST_Function)
      continue;
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    llvm::Expected<uint64_t> address = symbol.getAddress();
    if (!address)
      return address.takeError();
    functions.push_back({*name, *address, {}});
  }
  for (llvm::object::SectionRef section : object.sections()) {
    llvm::Expected<llvm::StringRef> contents = section.getContents();
    if (!contents)
      return contents.takeError();
    if (!section.isText())
      continue;
    llvm::ArrayRef<uint8_t> bytes = llvm::arrayRefFromStringRef(*contents);
    for (Function &function : functions)
      if (uint64_t at = function.address - section.getAddress(); at < bytes.size())
        function.code = bytes.drop_front(at);
  }
  llvm::sort(functions, [](const Function &a, const Function &b) { return a.address < b.address; });
  // A function ends where the next one begins.
  for (size_t i = 0; i + 1 < functions.size(); ++i)
    functions[i].code =
        functions[i].code.take_front(functions[i + 1].address - functions[i].address);
  return functions;
}

llvm::Expected<std::string> ingot::disassembleForCpu(llvm::StringRef sharedObject) {
  auto fail = [](llvm::Error error) {
    return llvm::createStringError("the kernel code cannot be read: " +
                                   llvm::toString(std::move(error)));
  };
  auto object = llvm::object::ObjectFile::createELFObjectFile({sharedObject, "kernels"});
  if (!object)
    return fail(object.takeError());
  auto functions = findFunctions(llvm::cast<llvm::object::ELFObjectFileBase>(**object));
  if (!functions)
    return fail(functions.takeError());
  auto disassembler = Disassembler::create();
  if (!disassembler)
    return disassembler.takeError();
  std::string text;
  llvm::raw_string_ostream os(text);
  for (const Function &function : *functions)
    (*disassembler)->print(function, os);
  return text;
}
