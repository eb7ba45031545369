"""Embeddings that fail over within one space, and images that fail over at all."""

import pilotlight
from pilotlight_chaos import ChaosServer, LocalModel

TEXTS = ["a lamp in a window", "a light at sea"]
MODEL = LocalModel("bge-m3", capabilities=("embedding",))


def configuration(server: ChaosServer) -> dict:
    """Return what would stand in pilotlight.toml, with the played providers' addresses."""

    def hosted(model: str, place: str) -> dict:
        base, key = f"{server.base(place)}/v1", "sk-not-a-real-key"
        return {"model": model, "api_base": base, "api_key": key}

    return {
        "targets": {
            "hosted": {**hosted("openai/BAAI/bge-m3", "cloud"), "space": "bge-m3"},
            "local": {
                "model": "ollama/bge-m3",
                "api_base": server.base("house"),
                "space": "bge-m3",
            },
            "painter": hosted("openai/gpt-image-1", "cloud"),
            "spare": hosted("openai/gpt-image-1", "spare"),
        },
        "routes": {
            "index": {"targets": ["hosted", "local"], "total_timeout": 30},
            "pictures": {"targets": ["painter", "spare"]},
        },
    }


def main() -> None:
    """Embed and draw, then once more with the hosted API down."""
    pilotlight.preload().join()
    with ChaosServer(models=[MODEL]) as server, pilotlight.load(configuration(server)) as app:
        index, pictures = app.route("index"), app.route("pictures")
        answer = index.embed(TEXTS)
        print("vectors:", len(answer.vectors), "of", len(answer.vectors[0]), "by", answer.served_by)
        drawn = pictures.image("a lamp")
        print("images: ", len(drawn.images), "by", drawn.served_by)

        server.fault("cloud", "quota")
        print("outage: ", index.embed(TEXTS).served_by, "embeds")
        print("outage: ", pictures.image("a lamp").served_by, "draws")


if __name__ == "__main__":
    main()
