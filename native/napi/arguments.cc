#include "arguments.h"

#include <uv.h>

#include <cmath>
#include <cstring>

namespace vpnd::face {

void throw_type_error(Napi::Env env, const std::string& message) {
  if (!env.IsExceptionPending()) Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
}

void throw_system_error(Napi::Env env, int error, const char* call, const std::string& subject) {
  char text[128];
  const char* name = uv_err_name(-error);
  std::string message = std::string(name) + ": " + strerror_r(error, text, sizeof text) + ", " + call;
  if (!subject.empty()) message += " '" + subject + "'";
  Napi::Error thrown = Napi::Error::New(env, message);
  thrown.Value().Set("code", Napi::String::New(env, name));
  thrown.Value().Set("errno", Napi::Number::New(env, -error));
  thrown.Value().Set("syscall", Napi::String::New(env, call));
  thrown.ThrowAsJavaScriptException();
}

std::optional<Napi::Object> read_object(Napi::Env env, Napi::Value value, const char* name) {
  if (value.IsObject() && !value.IsFunction()) return value.As<Napi::Object>();
  throw_type_error(env, std::string(name) + " must be an object");
  return std::nullopt;
}

std::optional<uint32_t> read_number(Napi::Env env, Napi::Value value, const char* name, uint32_t least, uint32_t most) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= least && number <= most && std::floor(number) == number) return static_cast<uint32_t>(number);
  }
  throw_type_error(env, std::string(name) + " must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
  return std::nullopt;
}

std::optional<bool> read_bool(Napi::Env env, Napi::Value value, const char* name) {
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  throw_type_error(env, std::string(name) + " must be a boolean");
  return std::nullopt;
}

std::optional<std::string> read_text(Napi::Env env, Napi::Value value, const char* name, size_t longest) {
  if (value.IsString()) {
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.size() <= longest && text.find('\0') == std::string::npos) return text;
  }
  throw_type_error(env, std::string(name) + " must be a string of at most " + std::to_string(longest) + " bytes without NUL");
  return std::nullopt;
}

std::optional<Bytes> read_bytes(Napi::Env env, Napi::Value value, const char* name, size_t least, size_t most) {
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    const auto array = value.As<Napi::Uint8Array>();
    const size_t size = array.ByteLength();
    if (size >= least && size <= most) return size == 0 ? Bytes{} : Bytes(array.Data(), array.Data() + size);
  }
  throw_type_error(env, std::string(name) + " must be a Uint8Array of " +
                            (least == most ? std::to_string(most) : std::to_string(least) + " to " + std::to_string(most)) +
                            " bytes");
  return std::nullopt;
}

std::optional<uint64_t> read_token(Napi::Env env, Napi::Value value, const char* name) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const uint64_t token = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (lossless) return token;
  }
  throw_type_error(env, std::string(name) + " must be a bigint of 64 bits");
  return std::nullopt;
}

}  // namespace vpnd::face
