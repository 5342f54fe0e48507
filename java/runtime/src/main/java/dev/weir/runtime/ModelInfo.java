package dev.weir.runtime;

import java.util.List;
import java.util.OptionalInt;

/**
 * The shape of a model.
 *
 * @param vocabularySize number of tokens; ids are 0 to vocabularySize - 1
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the feed-forward layer
 * @param layers transformer blocks
 * @param heads query heads
 * @param kvHeads key and value heads, each shared by heads / kvHeads query heads
 * @param headSize width of a head
 * @param contextLength longest sequence in tokens
 * @param tiedEmbeddings whether the output matrix is the embedding matrix
 * @param ropeTheta base of the rotary position embedding
 * @param normEpsilon epsilon of RMSNorm
 * @param bosToken the token that begins a text, if the model names one
 * @param eosTokens the tokens that end a text
 * @param parameters number of weights, tied embeddings counted once
 * @param weightBytes bytes of the weights as stored in the files; for random weights as 32-bit
 *     floats
 * @param kvBytesPerToken bytes of keys and values of a token over all layers, on the device that
 *     holds the model and in the precision of its activations; for a model that was only inspected
 *     in 32-bit floats, see {@link Device#planMemory}
 */
public record ModelInfo(
    int vocabularySize,
    int hiddenSize,
    int intermediateSize,
    int layers,
    int heads,
    int kvHeads,
    int headSize,
    int contextLength,
    boolean tiedEmbeddings,
    float ropeTheta,
    float normEpsilon,
    OptionalInt bosToken,
    List<Integer> eosTokens,
    long parameters,
    long weightBytes,
    long kvBytesPerToken) {
  public ModelInfo {
    eosTokens = List.copyOf(eosTokens);
  }
}
