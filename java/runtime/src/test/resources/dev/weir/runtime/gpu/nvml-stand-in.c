/* What JavaCppNvml calls of NVML, with two GPUs of fixed state. The environment variables STAND_IN_* make it fail. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, COUNT = 2 };

typedef struct { int index; } gpu;
static gpu gpus[COUNT] = {{0}, {1}};

static int setting(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value == NULL ? otherwise : atoi(value);
}

static int number(unsigned value, unsigned* out) {
  if (setting("STAND_IN_NOT_SUPPORTED", 0)) return NOT_SUPPORTED;
  *out = value;
  return SUCCESS;
}

const char* nvmlErrorString(int status) {
  static char text[64];
  snprintf(text, sizeof text, "stand-in error %d", status);
  return text;
}

int nvmlInit_v2(void) { return setting("STAND_IN_INIT", SUCCESS); }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char* text, unsigned length) {
  snprintf(text, length, "580.65.06");
  return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = setting("STAND_IN_CUDA", 13000);
  return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = COUNT;
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu** out) {
  if (index >= COUNT) return INVALID_ARGUMENT;
  *out = &gpus[index];
  return SUCCESS;
}

int nvmlDeviceGetName(gpu* device, char* text, unsigned length) {
  snprintf(text, length, "NVIDIA Stand-in %d", device->index);
  return SUCCESS;
}

typedef struct {
  char legacy_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
} pci_info;

int nvmlDeviceGetPciInfo_v3(gpu* device, pci_info* out) {
  memset(out, 0, sizeof *out);
  out->bus = device->index == 0 ? 0x17 : 0xa8;
  snprintf(out->legacy_bus_id, sizeof out->legacy_bus_id, "0000:%02X:00.0", out->bus);
  snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", out->bus);
  return SUCCESS;
}

typedef struct { unsigned long long total, free, used; } memory;

int nvmlDeviceGetMemoryInfo(gpu* device, memory* out) {
  out->total = 80ull << 30;
  out->used = 3ull << 30;
  out->free = out->total - out->used;
  return SUCCESS;
}

typedef struct { unsigned gpu, memory; } utilization;

int nvmlDeviceGetUtilizationRates(gpu* device, utilization* out) {
  int status = number(87, &out->gpu);
  return status == SUCCESS ? number(45, &out->memory) : status;
}

int nvmlDeviceGetPowerUsage(gpu* device, unsigned* milliwatts) { return number(312345, milliwatts); }
int nvmlDeviceGetEnforcedPowerLimit(gpu* device, unsigned* milliwatts) { return number(400000, milliwatts); }
int nvmlDeviceGetTemperature(gpu* device, int sensor, unsigned* celsius) { return number(61, celsius); }

int nvmlDeviceGetClockInfo(gpu* device, int clock, unsigned* megahertz) {
  return number(clock == 1 ? 1410 : clock == 2 ? 1593 : 0, megahertz);
}
