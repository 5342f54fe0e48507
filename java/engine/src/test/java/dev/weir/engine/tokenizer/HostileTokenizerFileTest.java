package dev.weir.engine.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.CodedOutputStream;
import dev.weir.engine.TestModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whatever a tokenizer file contains, loading it gives a tokenizer or a {@link TokenizerException}.
 */
class HostileTokenizerFileTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 4, 7, 12, 14, 6000})
  void truncatedLlama2c(int length) throws IOException {
    byte[] file = Files.readAllBytes(TestModel.STORIES.resolve("tokenizer.bin"));
    refused("tokenizer.bin", Arrays.copyOf(file, length));
  }

  @ParameterizedTest
  @ValueSource(ints = {Integer.MIN_VALUE, -1, 0, 4097, Integer.MAX_VALUE})
  void llama2cLengths(int length) throws IOException {
    byte[] header = Files.readAllBytes(TestModel.STORIES.resolve("tokenizer.bin"));
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putInt(0, length);
    refused("tokenizer.bin", header);

    byte[] token = Files.readAllBytes(TestModel.STORIES.resolve("tokenizer.bin"));
    ByteBuffer.wrap(token).order(ByteOrder.LITTLE_ENDIAN).putInt(8, length);
    assertThat(refused("tokenizer.bin", token)).contains("length of token 0 is " + length);
  }

  @Test
  void llama2cScoresAndText() throws IOException {
    byte[] score = Files.readAllBytes(TestModel.STORIES.resolve("tokenizer.bin"));
    ByteBuffer.wrap(score).order(ByteOrder.LITTLE_ENDIAN).putFloat(4, Float.NaN);
    assertThat(refused("tokenizer.bin", score)).contains("NaN");

    byte[] text = Files.readAllBytes(TestModel.STORIES.resolve("tokenizer.bin"));
    text[12] = (byte) 0xff;
    assertThat(refused("tokenizer.bin", text)).contains("token 0 is not UTF-8");
  }

  @Test
  void llama2cWithoutByteTokensOrWithDuplicates() throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(1000).order(ByteOrder.LITTLE_ENDIAN).putInt(5);
    for (String piece : List.of("<unk>", "<s>", "</s>", "a", "a")) {
      bytes.putFloat(0).putInt(piece.length()).put(piece.getBytes());
    }
    refused("tokenizer.bin", Arrays.copyOf(bytes.array(), bytes.position()));
  }

  @Test
  void sentencePieceGarbage() throws IOException {
    byte[] model = stories().serialize();
    refused("tokenizer.model", new byte[0]);
    refused("tokenizer.model", new byte[] {0});
    refused("tokenizer.model", Arrays.copyOf(model, model.length - 1));
    refused("tokenizer.model", Arrays.copyOf(model, 5));
    // A piece whose length is 2^31 - 1, and one whose length is negative.
    refused("tokenizer.model", bytes(0x0a, 0xff, 0xff, 0xff, 0xff, 0x07));
    refused("tokenizer.model", bytes(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f));
    // Groups in groups in groups: field 15, wire type 3.
    byte[] groups = new byte[100_000];
    Arrays.fill(groups, (byte) (15 << 3 | 3));
    refused("tokenizer.model", groups);
  }

  @Test
  void sentencePieceNormalizationMapIsNotPassedOn() throws IOException {
    ByteArrayOutputStream normalizer = new ByteArrayOutputStream();
    CodedOutputStream fields = CodedOutputStream.newInstance(normalizer);
    fields.writeByteArray(2, new byte[] {(byte) 0xff, (byte) 0xff, (byte) 0xff, 0x7f, 1, 2, 3});
    fields.flush();
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.write(stories().serialize());
    CodedOutputStream model = CodedOutputStream.newInstance(file);
    model.writeByteArray(3, normalizer.toByteArray());
    model.flush();
    assertThat(refused("tokenizer.model", file.toByteArray())).contains("normalisation rules");
  }

  @Test
  void randomlyDamagedFilesNeverDoMoreThanThrow() throws IOException {
    byte[] model = stories().serialize();
    byte[] bin = Files.readAllBytes(TestModel.STORIES.resolve("tokenizer.bin"));
    byte[] json = TokenizerJsonWriter.llama2(stories()).getBytes();
    Random random = new Random(7);
    int refused = 0;
    for (int round = 0; round < 300; round++) {
      for (String name : List.of("tokenizer.model", "tokenizer.bin", "tokenizer.json")) {
        byte[] damaged =
            switch (name) {
              case "tokenizer.model" -> model.clone();
              case "tokenizer.bin" -> bin.clone();
              default -> json.clone();
            };
        for (int i = 0; i < 3; i++) {
          damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
        }
        Path file = folder.resolve(name);
        Files.write(file, damaged);
        try (Tokenizer tokenizer = Tokenizers.load(folder)) {
          tokenizer.decode(tokenizer.encode("Once upon a time 🐱"));
        } catch (TokenizerException _) {
          refused++;
        }
        Files.delete(file);
      }
    }
    assertThat(refused).isGreaterThan(100);
  }

  @Test
  void tokenizerJsonNestedTooDeeply() throws IOException {
    String deep = "[".repeat(100_000) + "]".repeat(100_000);
    refused("tokenizer.json", deep.getBytes());
    refused("tokenizer.json", ("{\"x\":" + deep + "}").getBytes());
    refused("tokenizer.json", "{\"a\":".repeat(100_000).getBytes());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "{}",
        "{\"model\":{}}",
        "{\"model\":{\"vocab\":{\"a\":-1}}}",
        "{\"model\":{\"vocab\":{\"a\":4294967295}}}",
        "{\"model\":{\"vocab\":{\"a\":2147483647}}}",
        "{\"model\":{\"vocab\":{\"a\":0.5}}}",
        "{\"model\":{\"vocab\":{\"a\":\"x\"}}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"b c\"]}}",
        "{\"model\":{\"type\":\"Nonsense\",\"vocab\":{\"a\":0},\"merges\":[]}}",
        "{\"model\":{\"vocab\":{\"a\":0}},\"decoder\":{\"type\":\"CTC\"}}",
        "{\"added_tokens\":[{\"content\":\"x\"}],\"model\":{\"vocab\":{\"a\":0}}}",
        "{\"model\":{\"vocab\":{\"a\":0}}} trailing",
        "{\"model\":{\"vocab\":{\"a\":0}"
      })
  void tokenizerJsonThatIsNone(String json) throws IOException {
    refused("tokenizer.json", json.getBytes());
  }

  @Test
  void tokenizerJsonWithALongStringOrBrokenUtf8() throws IOException {
    String json = TokenizerJsonWriter.llama2(stories());
    refused("tokenizer.json", json.replace("\"<unk>\"", "\"" + "x".repeat(5000) + "\"").getBytes());
    byte[] broken = json.getBytes();
    broken[json.indexOf("<unk>")] = (byte) 0xff;
    assertThat(refused("tokenizer.json", broken)).contains("not UTF-8");
  }

  @Test
  void tokenizerJsonCannotAskForPadding() throws IOException {
    String json = TokenizerJsonWriter.llama2(stories());
    String padded =
        json.replaceFirst(
            "\\{",
            "{\"padding\":{\"strategy\":{\"Fixed\":1000000000},\"direction\":\"Right\","
                + "\"pad_to_multiple_of\":null,\"pad_id\":0,\"pad_type_id\":0,\"pad_token\":\"x\"},"
                + "\"truncation\":{\"direction\":\"Right\","
                + "\"max_length\":2,\"strategy\":\"LongestFirst\",\"stride\":0},");
    Files.writeString(folder.resolve("tokenizer.json"), padded);
    try (Tokenizer tokenizer = Tokenizers.load(folder)) {
      assertThat(tokenizer.encode("Once upon a time")).containsExactly(1, 403, 407, 261, 378);
    }
  }

  @Test
  void directoryInPlaceOfAFile() throws IOException {
    Files.createDirectory(folder.resolve("tokenizer.model"));
    assertThatThrownBy(() -> Tokenizers.load(folder)).isInstanceOf(TokenizerException.class);
  }

  private String refused(String name, byte[] content) throws IOException {
    Path file = folder.resolve(name);
    Files.write(file, content);
    TokenizerException[] exception = new TokenizerException[1];
    assertThatThrownBy(() -> Tokenizers.load(folder).close())
        .isInstanceOfSatisfying(TokenizerException.class, e -> exception[0] = e)
        .hasMessageContaining(file.toString());
    return exception[0].getMessage();
  }

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  private static SentencePieceModel stories() throws IOException {
    Path file = TestModel.STORIES.resolve("tokenizer.bin");
    return Llama2cVocabulary.parse(file, Files.readAllBytes(file));
  }
}
