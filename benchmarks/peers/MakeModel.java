import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.IntUnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes a Llama model with random weights twice: as a Hugging Face folder (bf16, several
 * safetensors files with an index) and as a GGUF file (bf16, norms F32), so that engines which read
 * one or the other compute with the same numbers.
 *
 * <pre>java MakeModel.java shapes/r1b.json /tmp/r1b 1</pre>
 *
 * <p>The folder gets config.json (a copy), tokenizer.json (one token a byte, for engines that do
 * not start without a tokenizer), model-*.safetensors, model.safetensors.index.json and model.gguf.
 * Every row of a matrix is drawn from a generator of its own, seeded by the seed, the name of the
 * tensor and the row, so the order of writing does not matter and a row is never held longer than
 * it takes to write.
 */
public final class MakeModel {
  private static final double STANDARD_DEVIATION = 0.02;

  /** Below 2 GiB, because some engines map a whole file into one Java buffer. */
  private static final long SHARD_BYTES = 1_900_000_000L;

  private static final int GGUF_ALIGNMENT = 32;
  private static final int GGUF_F32 = 0;
  private static final int GGUF_BF16 = 30;
  private static final int GGUF_UINT32 = 4;
  private static final int GGUF_FLOAT32 = 6;
  private static final int GGUF_STRING = 8;

  /** {@code general.file_type} of a file whose matrices are bf16. */
  private static final int GGUF_MOSTLY_BF16 = 32;

  /** What 16 random bits stand for: a sample of the normal distribution in bf16. */
  private final short[] normal = new short[1 << 16];

  private final Shape shape;
  private final long seed;
  private final List<Tensor> tensors = new ArrayList<>();

  /** The numbers of config.json. */
  private record Shape(
      int hidden,
      int intermediate,
      int layers,
      int heads,
      int kvHeads,
      int vocabulary,
      int context,
      double epsilon,
      double theta) {
    int headSize() {
      return hidden / heads;
    }
  }

  /**
   * A tensor under its two names.
   *
   * @param columns 1 for a norm, whose values stand in {@code rows}
   * @param rotatedHeads heads whose rows the GGUF file has in another order, 0 if none
   */
  private record Tensor(String name, String ggufName, int rows, int columns, int rotatedHeads) {
    boolean norm() {
      return columns == 1;
    }

    long values() {
      return (long) rows * columns;
    }

    long bytes() {
      return 2 * values();
    }

    long ggufBytes() {
      return norm() ? 4 * values() : 2 * values();
    }
  }

  private MakeModel(Shape shape, long seed) {
    this.shape = shape;
    this.seed = seed;
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < normal.length; i++) {
      normal[i] = bf16((float) (STANDARD_DEVIATION * random.nextGaussian()));
    }
    int hidden = shape.hidden;
    int kv = shape.kvHeads * shape.headSize();
    matrix("model.embed_tokens.weight", "token_embd.weight", shape.vocabulary, hidden);
    for (int i = 0; i < shape.layers; i++) {
      String name = "model.layers." + i + ".";
      String gguf = "blk." + i + ".";
      norm(name + "input_layernorm.weight", gguf + "attn_norm.weight");
      tensors.add(
          new Tensor(
              name + "self_attn.q_proj.weight", gguf + "attn_q.weight", hidden, hidden, shape.heads));
      tensors.add(
          new Tensor(
              name + "self_attn.k_proj.weight", gguf + "attn_k.weight", kv, hidden, shape.kvHeads));
      matrix(name + "self_attn.v_proj.weight", gguf + "attn_v.weight", kv, hidden);
      matrix(name + "self_attn.o_proj.weight", gguf + "attn_output.weight", hidden, hidden);
      norm(name + "post_attention_layernorm.weight", gguf + "ffn_norm.weight");
      matrix(name + "mlp.gate_proj.weight", gguf + "ffn_gate.weight", shape.intermediate, hidden);
      matrix(name + "mlp.up_proj.weight", gguf + "ffn_up.weight", shape.intermediate, hidden);
      matrix(name + "mlp.down_proj.weight", gguf + "ffn_down.weight", hidden, shape.intermediate);
    }
    norm("model.norm.weight", "output_norm.weight");
    matrix("lm_head.weight", "output.weight", shape.vocabulary, hidden);
  }

  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 3) {
      System.err.println("usage: java MakeModel.java CONFIG.json FOLDER SEED");
      System.exit(2);
    }
    Path config = Path.of(arguments[0]);
    Path folder = Path.of(arguments[1]);
    new MakeModel(read(config), Long.parseLong(arguments[2])).write(config, folder);
  }

  private static Shape read(Path config) throws IOException {
    String json = Files.readString(config);
    if (Pattern.compile("\"tie_word_embeddings\"\\s*:\\s*true").matcher(json).find()) {
      throw new IOException(config + ": tied embeddings are not written");
    }
    Shape shape =
        new Shape(
            (int) number(config, json, "hidden_size"),
            (int) number(config, json, "intermediate_size"),
            (int) number(config, json, "num_hidden_layers"),
            (int) number(config, json, "num_attention_heads"),
            (int) number(config, json, "num_key_value_heads"),
            (int) number(config, json, "vocab_size"),
            (int) number(config, json, "max_position_embeddings"),
            number(config, json, "rms_norm_eps"),
            number(config, json, "rope_theta"));
    if (shape.hidden % (2 * shape.heads) != 0) {
      throw new IOException(config + ": hidden_size is not a multiple of two per head");
    }
    return shape;
  }

  private static double number(Path config, String json, String key) throws IOException {
    Matcher matcher = Pattern.compile("\"" + key + "\"\\s*:\\s*([-+.eE0-9]+)").matcher(json);
    if (!matcher.find()) {
      throw new IOException(config + ": " + key + " is missing");
    }
    return Double.parseDouble(matcher.group(1));
  }

  private void matrix(String name, String ggufName, int rows, int columns) {
    tensors.add(new Tensor(name, ggufName, rows, columns, 0));
  }

  private void norm(String name, String ggufName) {
    tensors.add(new Tensor(name, ggufName, shape.hidden, 1, 0));
  }

  /** config.json comes last: a folder that has one is complete. */
  private void write(Path config, Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.deleteIfExists(folder.resolve("config.json"));
    writeSafetensors(folder);
    writeGguf(folder.resolve("model.gguf"));
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer());
    Files.copy(config, folder.resolve("config.json"), StandardCopyOption.REPLACE_EXISTING);
  }

  private void writeSafetensors(Path folder) throws IOException {
    List<List<Tensor>> shards = new ArrayList<>();
    long size = SHARD_BYTES;
    long total = 0;
    for (Tensor tensor : tensors) {
      if (size + tensor.bytes() > SHARD_BYTES) {
        shards.add(new ArrayList<>());
        size = 0;
      }
      shards.getLast().add(tensor);
      size += tensor.bytes();
      total += tensor.bytes();
    }
    TreeMap<String, String> files = new TreeMap<>();
    for (int i = 0; i < shards.size(); i++) {
      String file = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
      shards.get(i).forEach(tensor -> files.put(tensor.name, file));
      try (Output output = new Output(folder.resolve(file))) {
        byte[] header = safetensorsHeader(shards.get(i));
        output.int64(header.length);
        output.bytes(header);
        for (Tensor tensor : shards.get(i)) {
          for (int row = 0; row < tensor.rows; row++) {
            output.values(row(tensor, row));
          }
        }
      }
      System.err.println(folder.resolve(file));
    }
    StringBuilder index = new StringBuilder();
    index.append("{\n  \"metadata\": {\"total_size\": ").append(total).append("},\n");
    index.append("  \"weight_map\": {");
    String separator = "\n";
    for (var entry : files.entrySet()) {
      index.append(separator).append("    \"").append(entry.getKey()).append("\": \"");
      index.append(entry.getValue()).append('"');
      separator = ",\n";
    }
    index.append("\n  }\n}\n");
    Files.writeString(folder.resolve("model.safetensors.index.json"), index);
  }

  /** JSON, filled up with spaces to a multiple of 8 bytes as the format wants. */
  private static byte[] safetensorsHeader(List<Tensor> shard) {
    StringBuilder header = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
    long offset = 0;
    for (Tensor tensor : shard) {
      header.append(
          String.format(
              Locale.ROOT,
              ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%d,%d]}",
              tensor.name,
              tensor.norm() ? "" + tensor.rows : tensor.rows + "," + tensor.columns,
              offset,
              offset + tensor.bytes()));
      offset += tensor.bytes();
    }
    header.append('}');
    while (header.length() % 8 != 0) {
      header.append(' ');
    }
    return header.toString().getBytes(StandardCharsets.UTF_8);
  }

  private void writeGguf(Path file) throws IOException {
    try (Output output = new Output(file)) {
      output.bytes("GGUF".getBytes(StandardCharsets.US_ASCII));
      output.int32(3);
      output.int64(tensors.size());
      output.int64(14);
      output.metadata("general.architecture", "llama");
      output.metadata("general.alignment", GGUF_ALIGNMENT);
      output.metadata("general.file_type", GGUF_MOSTLY_BF16);
      output.metadata("llama.vocab_size", shape.vocabulary);
      output.metadata("llama.context_length", shape.context);
      output.metadata("llama.embedding_length", shape.hidden);
      output.metadata("llama.block_count", shape.layers);
      output.metadata("llama.feed_forward_length", shape.intermediate);
      output.metadata("llama.rope.dimension_count", shape.headSize());
      output.metadata("llama.attention.head_count", shape.heads);
      output.metadata("llama.attention.head_count_kv", shape.kvHeads);
      output.metadata("llama.attention.layer_norm_rms_epsilon", (float) shape.epsilon);
      output.metadata("llama.rope.freq_base", (float) shape.theta);
      // No vocabulary: llama.cpp makes llama.vocab_size dummy tokens.
      output.metadata("tokenizer.ggml.model", "none");
      long offset = 0;
      for (Tensor tensor : tensors) {
        output.string(tensor.ggufName);
        output.int32(tensor.norm() ? 1 : 2);
        if (!tensor.norm()) {
          output.int64(tensor.columns);
        }
        output.int64(tensor.rows);
        output.int32(tensor.norm() ? GGUF_F32 : GGUF_BF16);
        output.int64(offset);
        offset += aligned(tensor.ggufBytes());
      }
      output.align(GGUF_ALIGNMENT);
      for (Tensor tensor : tensors) {
        IntUnaryOperator order = ggufRows(tensor);
        for (int row = 0; row < tensor.rows; row++) {
          short[] values = row(tensor, order.applyAsInt(row));
          if (tensor.norm()) {
            output.float32(values);
          } else {
            output.values(values);
          }
        }
        output.align(GGUF_ALIGNMENT);
      }
    }
    System.err.println(file);
  }

  private static long aligned(long bytes) {
    return (bytes + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
  }

  /**
   * Which row of the Hugging Face tensor a row of the GGUF tensor is. Hugging Face rotates the two
   * halves of a head against each other, a GGUF file of a Llama model neighbouring rows, so halves
   * are interleaved.
   */
  private static IntUnaryOperator ggufRows(Tensor tensor) {
    if (tensor.rotatedHeads == 0) {
      return IntUnaryOperator.identity();
    }
    int head = tensor.rows / tensor.rotatedHeads;
    return row -> row / head * head + row % 2 * (head / 2) + row % head / 2;
  }

  /** The bf16 values of a row, normally distributed around 0, of a norm around 1. */
  private short[] row(Tensor tensor, int row) {
    long mixed = seed * 0x9e3779b97f4a7c15L + tensor.name.hashCode();
    SplittableRandom random = new SplittableRandom(mixed * 0xd1342543de82ef95L + row);
    short[] values = new short[tensor.columns];
    for (int i = 0; i < values.length; i += 4) {
      long bits = random.nextLong();
      for (int j = i; j < Math.min(i + 4, values.length); j++, bits >>>= 16) {
        values[j] = normal[(int) bits & 0xffff];
      }
    }
    if (tensor.norm()) {
      values[0] = bf16(1 + Float.intBitsToFloat(values[0] << 16));
    }
    return values;
  }

  /** To the nearest, ties to even. Finite values only. */
  private static short bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
  }

  private static String tokenizer() {
    StringBuilder json = new StringBuilder("{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,");
    json.append("\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2");
    for (int i = 0; i < 256; i++) {
      json.append(String.format(Locale.ROOT, ",\"<0x%02X>\":%d", i, i + 3));
    }
    return json.append("},\"merges\":[]}}\n").toString();
  }

  /** Little-endian, buffered. */
  private static final class Output implements AutoCloseable {
    private final FileChannel channel;
    private final ByteBuffer buffer =
        ByteBuffer.allocateDirect(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    private long written;

    Output(Path file) throws IOException {
      channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING);
    }

    void metadata(String key, int value) throws IOException {
      string(key);
      int32(GGUF_UINT32);
      int32(value);
    }

    void metadata(String key, float value) throws IOException {
      string(key);
      int32(GGUF_FLOAT32);
      int32(Float.floatToRawIntBits(value));
    }

    void metadata(String key, String value) throws IOException {
      string(key);
      int32(GGUF_STRING);
      string(value);
    }

    void string(String text) throws IOException {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      int64(bytes.length);
      bytes(bytes);
    }

    void int32(int value) throws IOException {
      room(4);
      buffer.putInt(value);
    }

    void int64(long value) throws IOException {
      room(8);
      buffer.putLong(value);
    }

    void bytes(byte[] bytes) throws IOException {
      room(bytes.length);
      buffer.put(bytes);
    }

    void values(short[] values) throws IOException {
      room(2 * values.length);
      buffer.asShortBuffer().put(values);
      buffer.position(buffer.position() + 2 * values.length);
    }

    /** bf16 values as 32-bit floats. */
    void float32(short[] values) throws IOException {
      room(4 * values.length);
      for (short value : values) {
        buffer.putInt(value << 16);
      }
    }

    void align(int bytes) throws IOException {
      while ((written + buffer.position()) % bytes != 0) {
        room(1);
        buffer.put((byte) 0);
      }
    }

    private void room(int bytes) throws IOException {
      if (bytes > buffer.remaining()) {
        flush();
      }
    }

    private void flush() throws IOException {
      buffer.flip();
      while (buffer.hasRemaining()) {
        written += channel.write(buffer);
      }
      buffer.clear();
    }

    @Override
    public void close() throws IOException {
      try (channel) {
        flush();
      }
    }
  }
}
