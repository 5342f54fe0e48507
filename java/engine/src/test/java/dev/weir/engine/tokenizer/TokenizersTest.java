package dev.weir.engine.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.engine.TestModel;
import dev.weir.engine.TestModel.EncodedText;
import dev.weir.engine.TestModel.GoldenCase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizersTest {
  @TempDir Path folder;

  @Test
  void llama2cVocabularyGivesTheGoldenIds() {
    try (Tokenizer tokenizer = Tokenizers.load(TestModel.STORIES)) {
      assertThat(tokenizer.vocabularySize()).isEqualTo(512);
      assertGolden(tokenizer, TestModel.encodedTexts(TestModel.STORIES));
      for (GoldenCase golden : TestModel.goldenCases()) {
        assertThat(tokenizer.encode(golden.prompt()))
            .as("%s", golden)
            .isEqualTo(golden.prompt_ids());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"tokenizer.model", "tokenizer.bin"})
  void llama2TokenizerGivesTheGoldenIds(String file) throws IOException {
    Path llama2 = TestModel.llama2Tokenizer();
    Files.copy(llama2.resolve(file), folder.resolve(file));
    try (Tokenizer tokenizer = Tokenizers.load(folder)) {
      assertThat(tokenizer.vocabularySize()).isEqualTo(32000);
      List<EncodedText> golden = TestModel.encodedTexts(llama2);
      assertThat(golden).hasSize(47);
      assertGolden(tokenizer, golden);
    }
  }

  @Test
  void equivalentTokenizerJsonGivesTheGoldenIds() throws IOException {
    writeStoriesTokenizerJson();
    try (Tokenizer tokenizer = Tokenizers.load(folder)) {
      assertThat(tokenizer.vocabularySize()).isEqualTo(512);
      assertGolden(tokenizer, TestModel.encodedTexts(TestModel.STORIES));
    }
  }

  @Test
  void byteLevelTokenizerJson() throws IOException {
    Files.writeString(
        folder.resolve("tokenizer.json"),
        TokenizerJsonWriter.byteLevel(List.of("h e", "l l", "he ll", "hell o", "Ġ hello")));
    try (Tokenizer tokenizer = Tokenizers.load(folder)) {
      assertThat(tokenizer.encode("hello hello")).containsExactly(0, 260, 261);
      for (String text :
          List.of("", " ", "hello hello", " \t\n", "Zoë – 数字 🦙🐱", "\0\u00ad\u007f")) {
        assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
      }
    }
  }

  @Test
  void tokenizerJsonComesFirstThenTheSentencePieceModelThenLlama2c() throws IOException {
    SentencePieceModel stories = stories();
    Files.copy(TestModel.STORIES.resolve("tokenizer.bin"), folder.resolve("tokenizer.bin"));
    assertThat(vocabularySize()).isEqualTo(512);
    Files.write(folder.resolve("tokenizer.model"), withExtraPiece(stories).serialize());
    assertThat(vocabularySize()).isEqualTo(513);
    Files.writeString(folder.resolve("tokenizer.json"), TokenizerJsonWriter.byteLevel(List.of()));
    assertThat(vocabularySize()).isEqualTo(257);
  }

  @Test
  void missingTokenizerIsNamed() {
    assertThat(Tokenizers.find(folder)).isEmpty();
    assertThatThrownBy(() -> Tokenizers.load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(folder.toString());
  }

  @Test
  void decodesTheGoldenStories() {
    try (Tokenizer tokenizer = Tokenizers.load(TestModel.STORIES)) {
      for (GoldenCase golden : TestModel.goldenCases()) {
        StreamingDecoder decoder = tokenizer.decoder(golden.prompt_ids());
        assertThat(decode(decoder, golden.greedy_ids())).isEqualTo(golden.greedy_text());
      }
    }
  }

  @Test
  void streamedTextIsTheWholeTextAndHasNoHalfCharacters() throws IOException {
    writeStoriesTokenizerJson();
    try (Tokenizer json = Tokenizers.load(folder);
        Tokenizer bin = Tokenizers.load(TestModel.STORIES)) {
      Random random = new Random(5);
      for (int round = 0; round < 500; round++) {
        int[] ids = random.ints(40, -2, 514).toArray();
        StringBuilder streamed = new StringBuilder();
        StreamingDecoder decoder = bin.decoder();
        for (int id : ids) {
          String text = decoder.append(id);
          assertThat(text.isEmpty() || !Character.isHighSurrogate(text.charAt(text.length() - 1)))
              .isTrue();
          streamed.append(text);
        }
        streamed.append(decoder.finish());
        assertThat(streamed.toString()).isEqualTo(bin.decode(ids));
        assertThat(json.decode(withoutControl(ids))).isEqualTo(bin.decode(withoutControl(ids)));
      }
    }
  }

  @Test
  void aCharacterIsEmittedWhenItsLastByteComes() {
    try (Tokenizer tokenizer = Tokenizers.load(TestModel.STORIES)) {
      int[] cat = tokenizer.encode("🐱"); // BOS, a space, four bytes
      assertThat(cat).hasSize(6);
      StreamingDecoder decoder = tokenizer.decoder();
      for (int i = 0; i < 5; i++) {
        assertThat(decoder.append(cat[i])).isEmpty();
      }
      assertThat(decoder.append(cat[5])).isEqualTo("🐱");
      decoder.append(cat[2]);
      assertThat(decoder.finish()).isEqualTo("\ufffd");
      assertThat(tokenizer.decoder(1, cat[1], cat[2], cat[3]).append(cat[4])).isEmpty();
    }
  }

  @Test
  void spaceIsRemovedOnlyAtTheStart() {
    try (Tokenizer tokenizer = Tokenizers.load(TestModel.STORIES)) {
      int[] once = tokenizer.encode("a");
      assertThat(tokenizer.decode(once)).isEqualTo("a");
      assertThat(decode(tokenizer.decoder(once), once[1])).isEqualTo(" a");
      assertThat(decode(tokenizer.decoder(1), once[1])).isEqualTo("a");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"\ud83d", "a\udc31", "\ud83d\ud83d\udc31", "\udc31\ud83d"})
  void loneSurrogatesAreRefused(String text) throws IOException {
    writeStoriesTokenizerJson();
    for (Path source : List.of(folder, TestModel.STORIES)) {
      try (Tokenizer tokenizer = Tokenizers.load(source)) {
        assertThatThrownBy(() -> tokenizer.encode(text))
            .isInstanceOf(MalformedTextException.class)
            .hasMessageContaining("lone surrogate");
      }
    }
  }

  @Test
  void nulAndLongTextsAreEncoded() throws IOException {
    writeStoriesTokenizerJson();
    for (Path source : List.of(folder, TestModel.STORIES)) {
      try (Tokenizer tokenizer = Tokenizers.load(source)) {
        assertThat(tokenizer.decode(tokenizer.encode("a\0b"))).isEqualTo("a\0b");
        String text = "Once upon a time 🐱 ".repeat(5000);
        assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
      }
    }
  }

  @Test
  void closedTokenizersRefuseAndStillDecode() throws IOException {
    writeStoriesTokenizerJson();
    for (Path source : List.of(folder, TestModel.STORIES)) {
      Tokenizer tokenizer = Tokenizers.load(source);
      int[] ids = tokenizer.encode("Once");
      tokenizer.close();
      tokenizer.close();
      assertThatThrownBy(() -> tokenizer.encode("Once"))
          .isInstanceOf(TokenizerException.class)
          .hasMessageContaining("closed");
      assertThat(tokenizer.decode(ids)).isEqualTo("Once");
    }
  }

  @Test
  void manyThreadsEncodeAtOnceAndCloseWaits() throws Exception {
    writeStoriesTokenizerJson();
    for (Path source : List.of(folder, TestModel.STORIES)) {
      Tokenizer tokenizer = Tokenizers.load(source);
      int[] expected = tokenizer.encode("The dog and the cat");
      try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
        List<Future<Integer>> answers = new ArrayList<>();
        Callable<Integer> encodeUntilClosed =
            () -> {
              for (int count = 0; ; count++) {
                try {
                  assertThat(tokenizer.encode("The dog and the cat")).isEqualTo(expected);
                } catch (TokenizerException e) {
                  return count;
                }
                if (count == 200) {
                  tokenizer.close();
                }
              }
            };
        for (int i = 0; i < 8; i++) {
          answers.add(threads.submit(encodeUntilClosed));
        }
        for (Future<Integer> answer : answers) {
          answer.get();
        }
      }
    }
  }

  private int vocabularySize() {
    try (Tokenizer tokenizer = Tokenizers.load(folder)) {
      return tokenizer.vocabularySize();
    }
  }

  private void writeStoriesTokenizerJson() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), TokenizerJsonWriter.llama2(stories()));
  }

  private static SentencePieceModel stories() throws IOException {
    Path file = TestModel.STORIES.resolve("tokenizer.bin");
    return Llama2cVocabulary.parse(file, Files.readAllBytes(file));
  }

  private static SentencePieceModel withExtraPiece(SentencePieceModel model) {
    List<SentencePieceModel.Piece> pieces = new ArrayList<>(model.pieces());
    pieces.add(new SentencePieceModel.Piece("extra", -1e6f, SentencePieceModel.PieceType.NORMAL));
    return new SentencePieceModel(
        pieces,
        model.algorithm(),
        model.byteFallback(),
        model.bos(),
        model.dummyPrefix(),
        model.collapseSpaces(),
        model.spaceAsSuffix());
  }

  /** Control tokens in the middle of a text are where the formats rightly differ. */
  private static int[] withoutControl(int[] ids) {
    return java.util.stream.IntStream.of(ids).filter(id -> id > 2).toArray();
  }

  private static String decode(StreamingDecoder decoder, int... ids) {
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(decoder.append(id));
    }
    return text.append(decoder.finish()).toString();
  }

  private static void assertGolden(Tokenizer tokenizer, List<EncodedText> golden) {
    assertThat(golden).isNotEmpty();
    for (EncodedText row : golden) {
      assertThat(tokenizer.encode(row.text())).as("%s", row).isEqualTo(row.ids());
      assertThat(tokenizer.decode(row.ids())).isEqualTo(row.text());
    }
  }
}
