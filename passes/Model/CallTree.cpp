//===- CallTree.cpp - The functions that an entry calls ---------------------------------------===//

#include "passes/Model/CallTree.h"

using namespace mlir;
using namespace ingot::model;

CallTree::CallTree(func::FuncOp entry) : symbols(SymbolTable::getNearestSymbolTable(entry)) {
  visit(entry);
  for (Operation *function : functions)
    checkUses(cast<func::FuncOp>(function), function == entry);
}

void CallTree::refuse(Operation *op, const Twine &reason) {
  if (!obstacle)
    obstacle = {op, reason.str()};
}

void CallTree::visit(func::FuncOp function) {
  if (functions.contains(function))
    return;
  if (function.isExternal())
    return refuse(function, "has no body");
  if (!function.getBody().hasOneBlock())
    return refuse(function, "has more than one block");
  if (!active.insert(function).second)
    return refuse(function, "calls itself");
  function.walk([&](func::CallOp call) {
    if (call->getParentOp() != function)
      refuse(call, "is inside of a region");
    else if (func::FuncOp callee = getCallee(call))
      visit(callee);
  });
  active.erase(function);
  functions.insert(function);
}

void CallTree::checkUses(func::FuncOp function, bool isEntry) {
  auto uses = SymbolTable::getSymbolUses(function, function->getParentOp());
  if (!uses)
    return refuse(function, "may be used in ways that are not known");
  if (!isEntry && function.isPublic())
    return refuse(function, "is public, so others may call it");
  for (const SymbolTable::SymbolUse &use : *uses) {
    auto call = dyn_cast<func::CallOp>(use.getUser());
    if (!call || !functions.contains(call->getParentOfType<func::FuncOp>()))
      return refuse(use.getUser(), "uses a function that the entry calls");
  }
}
