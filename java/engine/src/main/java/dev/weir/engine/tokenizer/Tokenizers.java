package dev.weir.engine.tokenizer;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Finds and loads the tokenizer of a model folder. */
public final class Tokenizers {
  /** The largest tokenizer file that is read, in bytes; the biggest known ones have about 35 MB. */
  static final long MAX_FILE_BYTES = 128L << 20;

  private Tokenizers() {}

  /**
   * Loads the first of these that {@code modelDirectory} has: {@code tokenizer.json} (Hugging
   * Face), {@code tokenizer.model} (SentencePiece), {@code tokenizer.bin} (llama2.c). The file is
   * checked before native code sees it. Nothing is fetched from a network.
   *
   * @throws TokenizerException if there is none, or if it is damaged, hostile or unsupported
   */
  public static Tokenizer load(Path modelDirectory) {
    return find(modelDirectory)
        .orElseThrow(
            () ->
                new TokenizerException(
                    "no tokenizer.json, tokenizer.model or tokenizer.bin in "
                        + modelDirectory.toAbsolutePath()));
  }

  /**
   * As {@link #load}, but empty if the folder has no tokenizer.
   *
   * @throws TokenizerException if there is one, but it is damaged, hostile or unsupported
   */
  public static Optional<Tokenizer> find(Path modelDirectory) {
    Path json = modelDirectory.resolve("tokenizer.json");
    if (Files.exists(json)) {
      return Optional.of(HuggingFaceTokenizer.load(json, read(json)));
    }
    Path model = modelDirectory.resolve("tokenizer.model");
    if (Files.exists(model)) {
      return Optional.of(
          SentencePieceTokenizer.load(SentencePieceModel.parse(model, read(model)), model));
    }
    Path bin = modelDirectory.resolve("tokenizer.bin");
    if (Files.exists(bin)) {
      return Optional.of(SentencePieceTokenizer.load(Llama2cVocabulary.parse(bin, read(bin)), bin));
    }
    return Optional.empty();
  }

  private static byte[] read(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] content = in.readNBytes((int) MAX_FILE_BYTES + 1);
      if (content.length > MAX_FILE_BYTES) {
        throw new TokenizerException(
            file
                + " has more than "
                + MAX_FILE_BYTES
                + " bytes, the most that a tokenizer may have");
      }
      return content;
    } catch (IOException e) {
      throw new TokenizerException("cannot read " + file + ": " + e, e);
    }
  }
}
