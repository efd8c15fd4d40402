// Filter rules of JavaScript.
#pragma once
#include <napi.h>

#include <optional>

#include "filter.h"

namespace vpnd::face {

// { rules: [{ allow, sources?, services: [{ protocol, first, last }] }], allowOthers }. Empty after a TypeError was thrown.
std::optional<FilterRules> read_filter(Napi::Env env, Napi::Value value);

}  // namespace vpnd::face
