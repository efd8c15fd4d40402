// Strict reading of JavaScript arguments. Every reader returns nothing after throwing a TypeError (its message names the
// argument); callers check `env.IsExceptionPending()` or the optional, and return.
#pragma once
#include <napi.h>

#include <optional>
#include <string>

#include "bytes.h"

namespace vpnd::face {

void throw_type_error(Napi::Env env, const std::string& message);
// An Error with `code` ("EPERM"), `errno` and `syscall`, like those of node:fs.
void throw_system_error(Napi::Env env, int error, const char* call, const std::string& subject = "");

std::optional<Napi::Object> read_object(Napi::Env env, Napi::Value value, const char* name);
// An integer from `least` to `most`.
std::optional<uint32_t> read_number(Napi::Env env, Napi::Value value, const char* name, uint32_t least, uint32_t most);
std::optional<bool> read_bool(Napi::Env env, Napi::Value value, const char* name);
std::optional<std::string> read_text(Napi::Env env, Napi::Value value, const char* name, size_t longest);
// A copy of a Uint8Array of `least` to `most` bytes.
std::optional<Bytes> read_bytes(Napi::Env env, Napi::Value value, const char* name, size_t least, size_t most);
std::optional<uint64_t> read_token(Napi::Env env, Napi::Value value, const char* name);

}  // namespace vpnd::face
