/* clang-format off */
/*
 * Weir: a paged KV-cache runtime for Llama-family models. The only public header of the native layer.
 *
 * Objects and ownership
 *   device -> model -> cache -> step, each created from the one before it. A handle is an opaque token, not an
 *   address: it is checked on every call, so a closed, foreign or made-up handle gives WEIR_CLOSED, never a crash.
 *   Closing an object makes its handle invalid at once. Its memory is released when the objects created from it
 *   are closed too, so any order of closing is safe. Sequences belong to their cache and end with it.
 *
 * Structs
 *   Every struct begins with `struct_size`, which the caller sets to sizeof(the struct) before the call, for inputs
 *   and for outputs. The size of an older version is taken as well: fields that it lacks are 0 in an input and left out of an
 *   output. Any other size gives WEIR_INVALID_ARGUMENT.
 *   A zeroed options struct (apart from struct_size) means "the defaults", and a null options pointer means the same;
 *   only weir_cache_options has no default capacity. Fields named `reserved` must be 0.
 *
 * Errors
 *   Every function that can fail returns a weir_status. The last parameter, `error`, may be null; otherwise it is
 *   filled when the status is not WEIR_OK and left alone when it is. No function throws, exits or prints.
 *   After any status other than WEIR_OK the caches, sequences and outputs are as they were before the call, unless the
 *   function says otherwise. A model file that another process shortens while it is being loaded ends the process
 *   (SIGBUS), as with every memory-mapped file.
 *
 * Threads
 *   Every function may be called from any thread. Calls that change one cache (its sequences and steps included) are
 *   serialised by a lock of that cache, and so are the calls that describe a sequence: they wait for a running step.
 *   Calls on different caches run at the same time. weir_cache_statistics_read never waits.
 *
 * Versions
 *   WEIR_ABI_VERSION is major * 1000 + minor. Within one major version structs only grow at the end and functions are
 *   only added.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stdint.h>

#define WEIR_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_ABI_VERSION 1002

typedef struct weir_device weir_device;
typedef struct weir_model weir_model;
typedef struct weir_cache weir_cache;
typedef struct weir_step weir_step;

/* A sequence id, unique within its cache for the life of the cache. 0 is never a sequence. */
typedef int64_t weir_sequence;

/* ---------------------------------------------------------------- status and errors */

typedef int32_t weir_status;
enum {
  WEIR_OK = 0,
  WEIR_INVALID_ARGUMENT = 1,   /* null, negative, out of range, wrong struct_size: the caller's mistake */
  WEIR_CLOSED = 2,             /* the handle or sequence was closed, or never existed */
  WEIR_OUT_OF_BLOCKS = 3,      /* the KV pool has too few free blocks; needed/available are blocks */
  WEIR_OUT_OF_SWAP = 4,        /* the host swap space has too few free blocks; needed/available are blocks */
  WEIR_OUT_OF_MEMORY = 5,      /* host or device memory; needed/available are bytes */
  WEIR_INVALID_MODEL = 6,      /* a model file is damaged, hostile or inconsistent */
  WEIR_UNSUPPORTED = 7,        /* well-formed, but this library cannot do it */
  WEIR_IO_ERROR = 8,           /* a file cannot be opened or read */
  WEIR_DEVICE_UNAVAILABLE = 9, /* no such device, driver or backend on this machine */
  WEIR_DEVICE_FAILED = 10,     /* the device reported an error and cannot be used any more */
  WEIR_INTERNAL = 11           /* a defect of this library */
};

typedef struct weir_error {
  uint32_t struct_size;
  weir_status status;
  int64_t needed;     /* what the call asked for, in the unit that the status names; 0 where there is none */
  int64_t available;  /* what there was */
  char message[1000]; /* UTF-8, null-terminated; names the value, the limit and the setting to turn */
} weir_error;

/* The ABI version the library was built with (see WEIR_ABI_VERSION). */
WEIR_API int32_t weir_abi_version(void);

/* The release of the library, such as "0.1.0". Static storage. */
WEIR_API const char* weir_version(void);

/* The name of a status, such as "WEIR_OUT_OF_BLOCKS"; "WEIR_UNKNOWN_STATUS" for any other number. Static storage. */
WEIR_API const char* weir_status_name(weir_status status);

/* One field of one struct of this header as the compiler laid it out, so that a binding can check its own layout. */
typedef struct weir_field_layout {
  uint32_t struct_size;
  uint32_t field_size;        /* bytes */
  uint32_t field_offset;      /* bytes from the start of the struct */
  uint32_t owner_size;        /* sizeof the struct that has the field */
  const char* owner;          /* name of the struct, static storage */
  const char* field;          /* name of the field, static storage */
} weir_field_layout;

/* Number of entries that weir_layout_field knows: every field of every struct in this header. */
WEIR_API int32_t weir_layout_count(void);
WEIR_API weir_status weir_layout_field(int32_t index, weir_field_layout* layout, weir_error* error);

/* ---------------------------------------------------------------- devices */

typedef int32_t weir_device_kind;
enum {
  WEIR_DEVICE_CPU = 0,           /* threaded operators in the precision asked for, GEMMs also by oneDNN when it is found */
  WEIR_DEVICE_CPU_REFERENCE = 1, /* plain single-threaded fp32 loops; slow, for comparison */
  WEIR_DEVICE_CUDA = 2
};

typedef int32_t weir_precision;
enum {
  WEIR_PRECISION_DEFAULT = 0, /* CPU: bf16 where the processor has AVX-512 BF16, else fp32. CUDA: fp16. KV: as the activations */
  WEIR_PRECISION_FP32 = 1,    /* CPU: weights, activations and KV in 32-bit floats */
  WEIR_PRECISION_BF16 = 2,    /* weights, inputs of multiplications and KV in bfloat16, sums in 32-bit floats */
  WEIR_PRECISION_INT8 = 3,    /* CPU: as bf16, but multiplications by weights in 8-bit integers: weights with a scale for
                                 each output, activations with a scale for each token, found as they come. Faster and
                                 less accurate: benchmarks/results has what was measured of both.
                                 KV on CUDA: 8-bit integers with a scale for each key and each value of a head */
  WEIR_PRECISION_FP16 = 4,    /* CUDA: as bf16, in IEEE half precision */
  WEIR_PRECISION_FP8 = 5      /* KV on CUDA: E4M3 with a scale for each key and each value of a head */
};

/* weir_device_options.flags */
enum {
  WEIR_DEVICE_PIN_THREADS = 1,  /* CPU: each operator thread stays on a processor of its own; not the thread that runs a step, for
                                   which the first processor is left, nor those of another device, which may have the same */
  WEIR_DEVICE_DETERMINISTIC = 2, /* only kernels that add up in a fixed order: the numbers of a sequence do not depend on
                                   what else is in its batch, as long as prompts are cut into the same chunks (on CUDA
                                   a chunk of one token adds up in another order than a longer one). Slow in fp32 on
                                   the CPU; on CUDA it does without cuBLASLt's multiplications */
  WEIR_DEVICE_NO_GRAPHS = 4     /* CUDA: launch the kernels of every step one by one, instead of replaying a recorded graph
                                   for steps of decodes alone */
};

typedef struct weir_device_options {
  uint32_t struct_size;
  weir_device_kind kind;
  int32_t ordinal; /* which CUDA device; 0 for the CPU */
  int32_t threads; /* operator threads of the CPU backend, 1..1024, and 0 for CUDA; 0 = as many as the processors that the process may use,
                      which all devices opened so share: their steps take turns operator by operator */
  weir_precision precision; /* of models on this device. WEIR_UNSUPPORTED if the device has no such arithmetic */
  int32_t flags;
} weir_device_options;

typedef struct weir_device_info {
  uint32_t struct_size;
  weir_device_kind kind;
  int32_t ordinal;
  int32_t threads;
  int64_t memory_total;     /* bytes */
  int64_t memory_available; /* bytes, at the time of the call */
  char name[128];           /* such as "AMD EPYC 9B14" */
  char matmul[256];         /* who multiplies matrices, with the version of the library, or why it is not there */
  weir_precision precision; /* never WEIR_PRECISION_DEFAULT */
  int32_t compute_capability; /* CUDA: major * 10 + minor, such as 80; 0 for the CPU */
  int32_t multiprocessors;  /* CUDA; 0 for the CPU */
  int32_t reserved;         /* 0 */
  char pci_bus_id[16];      /* CUDA: such as "0000:17:00.0", by which NVML knows the device; empty for the CPU */
} weir_device_info;

/* Whether a device of `kind` can be opened here. WEIR_DEVICE_UNAVAILABLE with the reason in `error` when not. */
WEIR_API weir_status weir_device_probe(weir_device_kind kind, int32_t ordinal, weir_error* error);

WEIR_API weir_status weir_device_open(const weir_device_options* options, weir_device** device, weir_error* error);
WEIR_API weir_status weir_device_describe(weir_device* device, weir_device_info* info, weir_error* error);
WEIR_API weir_status weir_device_close(weir_device* device, weir_error* error);

/* ---------------------------------------------------------------- models */

typedef int32_t weir_weights;
enum {
  WEIR_WEIGHTS_FILES = 0, /* read *.safetensors */
  WEIR_WEIGHTS_RANDOM = 1 /* draw them from `seed`; only config.json is read. For benchmarks and shape tests */
};

/* Progress of a load, written by the loading thread with relaxed atomic stores and readable by any other thread. */
typedef struct weir_progress {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t done;  /* bytes of weights that are ready */
  uint64_t total; /* bytes of weights altogether; 0 until the files have been checked */
} weir_progress;

typedef struct weir_model_options {
  uint32_t struct_size;
  weir_weights weights;
  uint64_t seed;            /* for WEIR_WEIGHTS_RANDOM */
  int32_t layer_limit;      /* keep only the first layers, for benchmarks of big shapes; 0 = all */
  int32_t reserved;
  weir_progress* progress;  /* may be null; must stay valid until weir_model_load returns */
} weir_model_options;

#define WEIR_MAX_EOS_TOKENS 8

typedef struct weir_model_info {
  uint32_t struct_size;
  int32_t vocabulary_size;
  int32_t hidden_size;
  int32_t intermediate_size;
  int32_t layers;
  int32_t heads;
  int32_t kv_heads;
  int32_t head_size;
  int32_t context_length; /* longest sequence, in tokens (max_position_embeddings) */
  int32_t tied_embeddings;
  float rope_theta;
  float norm_epsilon;
  int32_t bos_token;                        /* -1 if the model names none */
  int32_t eos_token_count;                  /* 0..WEIR_MAX_EOS_TOKENS */
  int32_t eos_tokens[WEIR_MAX_EOS_TOKENS];
  int32_t reserved;
  int64_t parameters;         /* tied embeddings counted once */
  int64_t weight_bytes;       /* as stored in the files; for random weights as 32-bit floats */
  int64_t kv_bytes_per_token; /* on the device that holds the model; for weir_model_inspect on the CPU in fp32 */
} weir_model_info;

/*
 * Reads and checks config.json and the safetensors headers of the Hugging Face folder `directory` (UTF-8) without
 * reading weights. With WEIR_WEIGHTS_RANDOM only config.json is read. `options` may be null.
 * WEIR_IO_ERROR, WEIR_INVALID_MODEL, WEIR_UNSUPPORTED.
 */
WEIR_API weir_status weir_model_inspect(const char* directory, const weir_model_options* options,
                                        weir_model_info* info, weir_error* error);

/*
 * Loads a `LlamaForCausalLM` folder: config.json and one or many *.safetensors (with model.safetensors.index.json),
 * F32, F16 or BF16, memory-mapped while loading. Everything but the values of weights is checked before memory for them is
 * taken; WEIR_UNSUPPORTED if one is too large for fp16.
 * WEIR_IO_ERROR, WEIR_INVALID_MODEL, WEIR_UNSUPPORTED, WEIR_OUT_OF_MEMORY.
 */
WEIR_API weir_status weir_model_load(weir_device* device, const char* directory, const weir_model_options* options,
                                     weir_model** model, weir_error* error);
WEIR_API weir_status weir_model_describe(weir_model* model, weir_model_info* info, weir_error* error);
WEIR_API weir_status weir_model_close(weir_model* model, weir_error* error);

/* ---------------------------------------------------------------- the paged KV cache */

#define WEIR_MAX_BLOCK_SIZE 1024

typedef struct weir_cache_options {
  uint32_t struct_size;
  int32_t block_size;     /* tokens a block, 1..WEIR_MAX_BLOCK_SIZE; 0 = 16 */
  int64_t blocks;         /* capacity in blocks; or 0 and `bytes` counts */
  int64_t bytes;          /* capacity in bytes, rounded down to whole blocks; exactly one of blocks, bytes is not 0 */
  int64_t swap_blocks;    /* host swap space in blocks; 0 = none */
  int32_t max_sequences;  /* sequences that may exist at once; 0 = 65536 */
  weir_precision kv_precision; /* of keys and values; DEFAULT = as the model's activations; on CUDA also INT8 and FP8. WEIR_UNSUPPORTED if the device
                                  keeps no such KV */
} weir_cache_options;

/* All counts in blocks unless they say otherwise. Read without waiting; each value is exact at some recent moment. */
typedef struct weir_cache_statistics {
  uint32_t struct_size;
  int32_t block_size;          /* tokens */
  int64_t block_bytes;         /* bytes a block takes, all layers, keys and values */
  int64_t capacity;
  int64_t free;
  int64_t used;                /* capacity - free */
  int64_t shared;              /* used blocks that belong to more than one sequence */
  int64_t peak_used;           /* highest `used` since creation */
  int64_t swap_capacity;
  int64_t swap_used;
  int64_t sequences;           /* sequences that exist, swapped ones included */
  int64_t swapped_sequences;
  int64_t resident_tokens;     /* sum of the lengths of resident sequences, in tokens */
  int64_t steps;               /* steps that succeeded */
  int64_t tokens_computed;     /* tokens that passed through the model in those steps */
  int64_t copied_on_write;     /* blocks copied because a shared one was about to be written */
  int64_t swapped_out;         /* blocks moved to the host, ever */
  int64_t swapped_in;          /* blocks moved back, ever */
} weir_cache_statistics;

/* WEIR_OUT_OF_MEMORY if the pool (or the swap space) does not fit in memory; nothing is allocated then. */
WEIR_API weir_status weir_cache_create(weir_model* model, const weir_cache_options* options, weir_cache** cache,
                                       weir_error* error);
WEIR_API weir_status weir_cache_statistics_read(weir_cache* cache, weir_cache_statistics* statistics,
                                                weir_error* error);
WEIR_API weir_status weir_cache_close(weir_cache* cache, weir_error* error);

/* ---------------------------------------------------------------- sequences */

typedef struct weir_sequence_info {
  uint32_t struct_size;
  int32_t length;         /* tokens in the cache */
  int32_t blocks;         /* blocks of its block table: ceil(length / block_size) */
  int32_t shared_blocks;  /* of those, blocks that another sequence uses as well */
  int32_t swapped;        /* 1 if it is in the host swap space */
  int32_t reserved;
} weir_sequence_info;

/* An empty sequence. Takes no block. WEIR_OUT_OF_MEMORY when max_sequences exist. */
WEIR_API weir_status weir_sequence_create(weir_cache* cache, weir_sequence* sequence, weir_error* error);

/*
 * A copy that shares every block of `parent`; a block is copied only when one of the two writes into it. Takes no
 * block. The parent must be resident (WEIR_INVALID_ARGUMENT if it is swapped out). WEIR_OUT_OF_MEMORY when
 * max_sequences exist.
 */
WEIR_API weir_status weir_sequence_fork(weir_cache* cache, weir_sequence parent, weir_sequence* child,
                                        weir_error* error);

/*
 * Forgets all tokens from position `length` on; blocks that become empty are freed. 0 <= length <= current length. The
 * sequence must be resident.
 */
WEIR_API weir_status weir_sequence_truncate(weir_cache* cache, weir_sequence sequence, int32_t length,
                                            weir_error* error);

/* Ends a sequence, resident or swapped, and frees its blocks. */
WEIR_API weir_status weir_sequence_free(weir_cache* cache, weir_sequence sequence, weir_error* error);

/*
 * Moves a sequence's blocks to the host swap space and frees its share of the pool; blocks that others share stay in
 * the pool for them. WEIR_OUT_OF_SWAP; WEIR_INVALID_ARGUMENT if it is swapped out already.
 */
WEIR_API weir_status weir_sequence_swap_out(weir_cache* cache, weir_sequence sequence, weir_error* error);

/* Moves it back into blocks of its own. WEIR_OUT_OF_BLOCKS; WEIR_INVALID_ARGUMENT if it is resident. */
WEIR_API weir_status weir_sequence_swap_in(weir_cache* cache, weir_sequence sequence, weir_error* error);

WEIR_API weir_status weir_sequence_describe(weir_cache* cache, weir_sequence sequence, weir_sequence_info* info,
                                            weir_error* error);

/*
 * Copies up to `capacity` block ids of the block table into `block_ids` and the table's length into `count`. For
 * debugging and tests; empty for a swapped sequence.
 */
WEIR_API weir_status weir_sequence_blocks(weir_cache* cache, weir_sequence sequence, int32_t* block_ids,
                                          int32_t capacity, int32_t* count, weir_error* error);

/* ---------------------------------------------------------------- steps */

#define WEIR_MAX_TOP_LOGPROBS 64

typedef struct weir_step_options {
  uint32_t struct_size;
  int32_t max_entries;       /* sequences in one step, 1..65536; 0 = 256 */
  int32_t max_tokens;        /* tokens in one step, all sequences together, 1..1048576; 0 = 2048 */
  int32_t max_top_logprobs;  /* 0..WEIR_MAX_TOP_LOGPROBS */
} weir_step_options;

/* weir_step_buffers.flags[i] */
enum {
  WEIR_ENTRY_SAMPLE = 1 /* this chunk completes the entry's input: sample one token after its last position */
};

/*
 * The arrays of a step, allocated once with it and owned by it: valid until weir_step_close. The caller writes the
 * inputs in place, runs the step, and reads the outputs in place. Entry i is one chunk of one sequence: a decode is a
 * chunk of one token. A sequence may appear in one entry of a step at most.
 *
 * Inputs (E = entries of this step)
 *   sequences[E]            whose tokens these are; must be resident
 *   token_counts[E]         tokens in this entry's chunk, >= 1
 *   tokens[sum of counts]   the chunks one after another; appended at each sequence's current length
 *   flags[E]                WEIR_ENTRY_SAMPLE or 0
 *   temperatures[E]         0 = greedy (then top_k, top_p and seed are not looked at); finite, >= 0
 *   top_k[E]                keep the k most likely tokens; 0 = all
 *   top_p[E]                keep the smallest set of most likely tokens with total probability >= p; in (0, 1]
 *   repetition_penalties[E] logits of tokens already in the sequence, this chunk included, are divided by it when
 *                           positive and multiplied when negative; 1 = off; finite, > 0
 *   seeds[E]                the random number depends on (seed, position of the new token) and on nothing else
 *   top_logprobs[E]         how many most likely tokens to report, 0..max_top_logprobs
 * The filters apply in this order: repetition penalty, temperature, top-k, top-p.
 *
 * Outputs, written for entries with WEIR_ENTRY_SAMPLE; -1 / NaN for the others
 *   sampled_tokens[E]                    the new token; it is not appended: pass it to the next step
 *   sampled_logprobs[E]                  its log-probability under the model (before penalty, temperature, filters)
 *   top_tokens[E][max_top_logprobs]      the most likely tokens, best first (ties: smaller id first)
 *   top_token_logprobs[E][max_top_logprobs]
 */
typedef struct weir_step_buffers {
  uint32_t struct_size;
  int32_t max_entries;
  int32_t max_tokens;
  int32_t max_top_logprobs;
  weir_sequence* sequences;
  int32_t* token_counts;
  int32_t* tokens;
  uint32_t* flags;
  float* temperatures;
  int32_t* top_k;
  float* top_p;
  float* repetition_penalties;
  uint64_t* seeds;
  int32_t* top_logprobs;
  int32_t* sampled_tokens;
  float* sampled_logprobs;
  int32_t* top_tokens;
  float* top_token_logprobs;
} weir_step_buffers;

typedef struct weir_step_report {
  uint32_t struct_size;
  int32_t entries;
  int32_t tokens;
  int32_t sampled;           /* entries that sampled a token */
  int64_t blocks_taken;      /* free blocks before - free blocks after */
  int64_t copied_on_write;   /* blocks */
  int64_t nanoseconds;       /* from entry to return */
} weir_step_report;

/*
 * WEIR_OUT_OF_MEMORY if the workspace does not fit; WEIR_UNSUPPORTED if the device cannot compute attention with heads of the
 * model's size (CUDA: even, at most 256); WEIR_DEVICE_FAILED.
 */
WEIR_API weir_status weir_step_create(weir_cache* cache, const weir_step_options* options, weir_step** step,
                                      weir_error* error);
WEIR_API weir_status weir_step_buffers_get(weir_step* step, weir_step_buffers* buffers, weir_error* error);

/*
 * Runs the first `entries` entries through the model: appends their tokens to their sequences, computes, samples.
 * `report` may be null. Once every operator thread has seen batches of this size and context, libweir allocates
 * nothing (oneDNN makes and frees small argument objects within each multiplication).
 * All or nothing: WEIR_INVALID_ARGUMENT (message names the entry), WEIR_CLOSED (an entry's sequence is gone),
 * WEIR_OUT_OF_BLOCKS (needed and available in blocks), WEIR_INVALID_MODEL (the logits of an entry are not finite;
 * `needed` is the entry), WEIR_OUT_OF_MEMORY and WEIR_DEVICE_FAILED leave sequences, blocks and outputs as they were.
 * Two threads must not run the same step object at once (the second gets WEIR_INVALID_ARGUMENT).
 */
WEIR_API weir_status weir_step_run(weir_step* step, int32_t entries, weir_step_report* report, weir_error* error);

/*
 * Copies the logits (vocabulary_size floats, before any penalty or filter) of entry `entry` of the last run into
 * `logits`, which has room for `capacity` floats. The run must have succeeded and the entry have had
 * WEIR_ENTRY_SAMPLE.
 */
WEIR_API weir_status weir_step_logits(weir_step* step, int32_t entry, float* logits, int64_t capacity,
                                      weir_error* error);
WEIR_API weir_status weir_step_close(weir_step* step, weir_error* error);

/* ---------------------------------------------------------------- memory before it is taken */

/* Bytes unless it says otherwise. On the CPU, "the device" is the host. */
typedef struct weir_memory_plan {
  uint32_t struct_size;
  int32_t block_size;       /* tokens a KV block */
  int64_t device_total;
  int64_t device_available; /* that can be allocated now */
  int64_t weights;          /* of the model as this device keeps them */
  int64_t workspace;        /* activations, scratch and tables of one step object */
  int64_t graphs;           /* recorded decode steps of one step object; an estimate from above */
  int64_t kv_available;     /* device_available - weights - workspace - graphs, at least 0 */
  int64_t kv_block_bytes;
  int64_t kv_blocks;        /* blocks: what kv_available has room for, or what `cache` asks for if that is given */
  int64_t kv_bytes;         /* kv_blocks * kv_block_bytes; may exceed kv_available if `cache` asks for too much */
  int64_t swap_bytes;       /* on the host */
} weir_memory_plan;

/*
 * What a model, a cache and a step with these options would take on `device`, without taking it: config.json is read
 * and, for WEIR_WEIGHTS_FILES, the headers of the weights. Every options pointer may be null. With neither blocks nor bytes in
 * `cache`, the plan gives the KV pool what is left. Leave some of it: CUDA loads the code of kernels when they are first
 * used, which is not in the plan (weir's engine leaves 1 GiB).
 * WEIR_IO_ERROR, WEIR_INVALID_MODEL, WEIR_UNSUPPORTED.
 */
WEIR_API weir_status weir_plan_memory(weir_device* device, const char* directory, const weir_model_options* model,
                                      const weir_cache_options* cache, const weir_step_options* step,
                                      weir_memory_plan* plan, weir_error* error);

/* ---------------------------------------------------------------- profiling */

/*
 * Marks steps, their phases and groups of layers as NVTX ranges, which Nsight Systems and Nsight Compute show, from now
 * on (1) or no more (0), in the whole process. Off at first, and then costs nothing that can be measured. The CUDA backend
 * alone has ranges; a replayed graph is one range.
 */
WEIR_API weir_status weir_profile_ranges(int32_t enabled, weir_error* error);

#ifdef __cplusplus
}
#endif
#endif
