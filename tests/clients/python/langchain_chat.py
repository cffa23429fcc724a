"""One call with LangChain, and whether it was free: only OPENAI_BASE_URL says that tollfree is in between."""

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-5-mini", include_response_headers=True)
answer = model.invoke("Greet me in one word.")
print(answer.text)
headers = answer.response_metadata["headers"]
print("verdict:", headers.get("x-tollfree-verdict"), headers.get("x-tollfree-certainty"))
