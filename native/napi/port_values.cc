#include "port_values.h"

#include "arguments.h"

namespace vpnd::face {

namespace {

template <typename T>
std::optional<std::span<T>> borrow(Napi::Env env, Napi::Value value, napi_typedarray_type type, const char* what) {
  if (value.IsTypedArray()) {
    napi_typedarray_type is;
    size_t length;
    void* data;
    napi_value buffer;
    bool plain = false;
    if (napi_get_typedarray_info(env, value, &is, &length, &data, &buffer, nullptr) == napi_ok && is == type &&
        napi_is_arraybuffer(env, buffer, &plain) == napi_ok && plain) {
      return std::span<T>(static_cast<T*>(data), length);
    }
  }
  throw_type_error(env, what);
  return std::nullopt;
}

template <typename T, size_t N>
Napi::ArrayBuffer expose(Napi::Env env, std::array<T, N>& array, const std::shared_ptr<void>& memory) {
  return Napi::ArrayBuffer::New(
      env, array.data(), sizeof array, [](Napi::Env, void*, std::shared_ptr<void>* held) { delete held; },
      new std::shared_ptr<void>(memory));
}

}  // namespace

std::optional<PortItems> read_items(Napi::Env env, Napi::Value value) {
  const auto text = read_text(env, value, "items", 16);
  if (!text) return std::nullopt;
  if (*text == "packets") return PortItems::packets;
  if (*text == "supers") return PortItems::supers;
  if (*text == "frames") return PortItems::frames;
  throw_type_error(env, "items must be \"packets\", \"supers\" or \"frames\"");
  return std::nullopt;
}

std::optional<std::span<uint8_t>> borrow_data(Napi::Env env, Napi::Value value) {
  return borrow<uint8_t>(env, value, napi_uint8_array, "data must be a Uint8Array, not of shared memory");
}

std::optional<std::span<const uint32_t>> borrow_ends(Napi::Env env, Napi::Value value) {
  return borrow<const uint32_t>(env, value, napi_uint32_array, "ends must be a Uint32Array, not of shared memory");
}

bool batch_arguments(napi_env env, const Batch& batch, napi_value (&out)[kBatchArguments]) {
  return napi_create_uint32(env, batch.index, &out[0]) == napi_ok &&
         napi_create_uint32(env, static_cast<uint32_t>(batch.bytes), &out[1]) == napi_ok &&
         napi_create_uint32(env, static_cast<uint32_t>(batch.items), &out[2]) == napi_ok &&
         napi_get_boolean(env, batch.kind == PortItems::supers, &out[3]) == napi_ok;
}

Napi::Array expose_batches(Napi::Env env, std::span<BatchMemory::One> batches, const std::shared_ptr<void>& held) {
  Napi::Array out = Napi::Array::New(env);
  for (uint32_t i = 0; i < batches.size(); i++) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("data", Napi::Uint8Array::New(env, kBatchBytes, expose(env, batches[i].data, held), 0));
    entry.Set("ends", Napi::Uint32Array::New(env, kBatchItems, expose(env, batches[i].ends, held), 0));
    out.Set(i, entry);
  }
  return out;
}

Napi::Object port_drops_object(Napi::Env env, const PortInfo& info) {
  Napi::Object out = Napi::Object::New(env);
  for (size_t i = 0; i < port_drop_names.size(); i++) {
    if (info.drops[i] != 0) out.Set(port_drop_names[i], static_cast<double>(info.drops[i]));
  }
  return out;
}

Napi::Object port_counters_object(Napi::Env env, const PortInfo& info) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("rxBytes", static_cast<double>(info.rx_bytes));
  out.Set("txBytes", static_cast<double>(info.tx_bytes));
  out.Set("rxPackets", static_cast<double>(info.rx_packets));
  out.Set("txPackets", static_cast<double>(info.tx_packets));
  out.Set("drops", port_drops_object(env, info));
  return out;
}

}  // namespace vpnd::face
