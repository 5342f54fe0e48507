/* Loads a model, feeds it a prompt and prints the ids of the 8 tokens it likes best to continue with. */
#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

static weir_error error = {.struct_size = sizeof(weir_error)};

static void check(weir_status status) {
  if (status == WEIR_OK) return;
  fprintf(stderr, "%s: %s\n", weir_status_name(status), error.message);
  exit(1);
}

int main(int argc, char** argv) {
  weir_device* device;
  weir_model* model;
  weir_cache* cache;
  weir_step* step;
  weir_sequence sequence;
  weir_cache_options pool = {.struct_size = sizeof pool, .block_size = 16, .blocks = 64};
  weir_step_buffers batch = {.struct_size = sizeof batch};
  check(weir_device_open(NULL, &device, &error));
  check(weir_model_load(device, argc > 1 ? argv[1] : "models/stories260K", NULL, &model, &error));
  check(weir_cache_create(model, &pool, &cache, &error));
  check(weir_step_create(cache, NULL, &step, &error));
  check(weir_step_buffers_get(step, &batch, &error));
  check(weir_sequence_create(cache, &sequence, &error));

  int32_t tokens[] = {1, 403, 407, 261, 378}, count = 5; /* "Once upon a time" */
  for (int i = 0; i < 8; i++, count = 1) {
    batch.sequences[0] = sequence;
    batch.token_counts[0] = count;
    for (int t = 0; t < count; t++) batch.tokens[t] = i == 0 ? tokens[t] : batch.sampled_tokens[0];
    batch.flags[0] = WEIR_ENTRY_SAMPLE; /* temperature 0: greedy */
    check(weir_step_run(step, 1, NULL, &error));
    printf("%d ", (int)batch.sampled_tokens[0]);
  }
  return weir_device_close(device, &error) + weir_model_close(model, &error) +
         weir_cache_close(cache, &error) + weir_step_close(step, &error);
}
